import preset from '@blockloom/rig/vitest'
import { mergeConfig } from 'vitest/config'

export default mergeConfig(preset, { test: { globalSetup: ['test/support/global-setup.ts'] } })
