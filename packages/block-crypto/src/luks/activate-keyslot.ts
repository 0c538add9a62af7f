import { BlockError, isBlockError } from '@blockloom/block-driver'
import type { LuksAmendInit } from './amend.ts'
import { checkKeyslot, wrongOption } from './amend-rules.ts'
import { benchmarkPbkdf2 } from './benchmark-pbkdf2.ts'
import { DEFAULT_ITER_TIME, checkIterTime } from './create.ts'
import type { LuksHeader } from './header.ts'
import { storeKeyslot } from './store-keyslot.ts'
import { type Unlocked, unlock } from './unlock-keyslot.ts'

/** `state=active`. @internal */
export async function activateKeyslot(init: LuksAmendInit, header: LuksHeader): Promise<LuksHeader> {
  const { newSecret, oldSecret, keyslot, iterTime = DEFAULT_ITER_TIME } = init.options
  if (newSecret === undefined) throw wrongOption('new-secret', "'new-secret' is required to activate a keyslot")
  if (oldSecret !== undefined) throw wrongOption('old-secret', "'old-secret' must not be given when activating keyslots")
  checkIterTime(iterTime)
  const index = keyslot === undefined ? freeKeyslot(header) : takeKeyslot(header, keyslot, init.force === true)
  const { masterKey } = await unlockForAmend(init, header)
  try {
    const iterations = await benchmarkPbkdf2(header.encryption.hashAlg, header.keyBytes, iterTime, init.now)
    return await storeKeyslot(init.io, header, index, { masterKey, passphrase: newSecret, iterations })
  } finally {
    masterKey.fill(0)
  }
}

async function unlockForAmend(init: LuksAmendInit, header: LuksHeader): Promise<Unlocked> {
  try {
    return await unlock(init.io, header, init.passphrase, init)
  } catch (cause) {
    if (!isBlockError(cause, 'denied')) throw cause
    throw new BlockError('denied', 'Failed to retrieve the master key', { errno: 'EPERM', cause })
  }
}

function freeKeyslot(header: LuksHeader): number {
  const index = header.keyslots.findIndex((slot) => !slot.active)
  if (index < 0) throw new BlockError('busy', "Can't add a keyslot - all keyslots are in use", { errno: 'EINVAL' })
  return index
}

function takeKeyslot(header: LuksHeader, keyslot: number, force: boolean): number {
  checkKeyslot(keyslot, header)
  if (!header.keyslots[keyslot]!.active || force) return keyslot
  throw new BlockError('busy', `Refusing to overwrite active keyslot ${keyslot} - please erase it first`, { errno: 'EINVAL', detail: { keyslot } })
}
