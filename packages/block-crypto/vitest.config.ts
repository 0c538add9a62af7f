export { default } from '@blockloom/rig/vitest'
