export { BlockError, isBlockError } from './block-error.ts'
export type { BlockErrorCode, BlockErrorDetail, BlockErrorInit } from './block-error.ts'
