/**
 * Typed wrappers of the reference tools (`qemu-img`, `qemu-io` of Debian's `qemu-utils`), for differential tests.
 *
 * @example
 * ```ts
 * import { oracleAvailable, qemuImg } from '@blockloom/oracle'
 *
 * describe.runIf(oracleAvailable())('reads what the reference writes', () => {
 *   test('…', () => { qemuImg('create', '-f', 'qcow2', file, '1G') })
 * })
 * ```
 *
 * @packageDocumentation
 */
export { oracleAvailable, requireOracle } from './available.ts'
export { qemuImg, qemuImgResult } from './qemu-img.ts'
export type { ToolResult } from './run.ts'
export { qemuIo, qemuIoRead } from './qemu-io.ts'
export { checkImage, type OracleCheck } from './check.ts'
export { rawContent } from './raw-content.ts'
export { SeededRandom } from './seeded-random.ts'
export { withTempFolder, tempFolder } from './temp-folder.ts'
