import { BlockError } from '@blockloom/block-driver'
import type { LuksHeader } from './header.ts'

/** @internal */
export function checkKeyslot(keyslot: number, header: LuksHeader): void {
  if (Number.isInteger(keyslot) && keyslot >= 0 && keyslot < header.keyslots.length) return
  throw wrongOption('keyslot', `Invalid keyslot ${keyslot} specified, must be between 0 and ${header.keyslots.length - 1}`)
}

/** @internal */
export function wrongOption(option: string, message: string): BlockError {
  return new BlockError('invalid', message, { detail: { option } })
}
