/**
 * Runs us and the reference tool in turn on the same work and prints the ratio: `npm run bench`.
 *
 * @packageDocumentation
 */
export { measurePair } from './measure.ts'
export type { Measured, Work } from './measure.ts'
export { report } from './report.ts'
