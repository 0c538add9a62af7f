import { BlockError } from '@blockloom/block-driver'
import type { LuksAmendInit } from './amend.ts'
import { checkKeyslot, wrongOption } from './amend-rules.ts'
import type { LuksHeader } from './header.ts'
import { eraseKeyslots } from './store-keyslot.ts'
import { unlockKeyslot } from './unlock-keyslot.ts'

const BOTH_MISSING = 'To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given'

/** `state=inactive`. @internal */
export async function deactivateKeyslots(init: LuksAmendInit, header: LuksHeader): Promise<LuksHeader> {
  const { newSecret, oldSecret, keyslot, iterTime } = init.options
  if (newSecret !== undefined) throw wrongOption('new-secret', "'new-secret' must not be given when erasing keyslots")
  if (iterTime !== undefined) throw wrongOption('iter-time', "'iter-time' must not be given when erasing keyslots")
  if (keyslot !== undefined) return eraseOne(init, header, keyslot, oldSecret)
  if (oldSecret !== undefined) return eraseMatching(init, header, oldSecret)
  throw wrongOption('keyslot', BOTH_MISSING)
}

async function eraseOne(init: LuksAmendInit, header: LuksHeader, keyslot: number, oldSecret: Uint8Array | undefined): Promise<LuksHeader> {
  checkKeyslot(keyslot, header)
  if (oldSecret !== undefined && !(await holds(init, header, keyslot, oldSecret))) {
    throw new BlockError('denied', `Given keyslot ${keyslot} doesn't contain the given old password for erase operation`, { errno: 'EINVAL', detail: { keyslot } })
  }
  if (init.force !== true && !header.keyslots[keyslot]!.active) {
    // The blank at the end is the reference tool's.
    throw wrongOption('keyslot', `Given keyslot ${keyslot} is already erased (inactive) `)
  }
  if (init.force !== true && countActive(header) === 1) {
    throw new BlockError('denied', `Attempt to erase the only active keyslot ${keyslot} which will erase all the data in the image irreversibly - refusing operation`, {
      errno: 'EINVAL',
      detail: { keyslot },
    })
  }
  return eraseKeyslots(init.io, header, [keyslot])
}

async function eraseMatching(init: LuksAmendInit, header: LuksHeader, oldSecret: Uint8Array): Promise<LuksHeader> {
  const matching: number[] = []
  for (const index of header.keyslots.keys()) {
    if (await holds(init, header, index, oldSecret)) matching.push(index)
  }
  if (matching.length === 0) throw new BlockError('denied', 'No keyslots match given (old) password for erase operation', { errno: 'EINVAL' })
  if (init.force !== true && matching.length === countActive(header)) {
    const message =
      'All the active keyslots match the (old) password that was given and erasing them will erase all the data in the image irreversibly - refusing operation'
    throw new BlockError('denied', message, { errno: 'EINVAL' })
  }
  return eraseKeyslots(init.io, header, matching)
}

async function holds(init: LuksAmendInit, header: LuksHeader, index: number, passphrase: Uint8Array): Promise<boolean> {
  const masterKey = await unlockKeyslot(init.io, header, index, passphrase, init)
  masterKey?.fill(0)
  return masterKey !== null
}

function countActive(header: LuksHeader): number {
  return header.keyslots.filter((slot) => slot.active).length
}
