/**
 * A drop-in `qemu-img`, as a function.
 *
 * @example
 * ```ts
 * import { processHost, run } from '@blockloom/img'
 *
 * process.exitCode = await run(processHost('qemu-img'), ['info', 'vm.qcow2'])
 * ```
 *
 * @packageDocumentation
 */
export type { Host } from './host.ts'
export { processHost } from './process-host.ts'
export { run } from './run.ts'
