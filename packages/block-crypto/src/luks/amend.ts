import { activateKeyslot } from './activate-keyslot.ts'
import { deactivateKeyslots } from './deactivate-keyslots.ts'
import type { LuksHeader } from './header.ts'
import type { UnlockLimits } from './limits.ts'
import type { LuksIo } from './luks-io.ts'
import { readLuksHeader } from './open.ts'

/** How the slots shall change; names and rules are those of `qemu-img amend`. @public */
export interface LuksAmendOptions {
  /** `active` puts `newSecret` into a slot, `inactive` erases slots. */
  readonly state: 'active' | 'inactive'
  /** The passphrase to put into a slot: needed for `active`, refused for `inactive`. */
  readonly newSecret?: Uint8Array | undefined
  /** For `inactive`: all slots with this passphrase, or a check on `keyslot`. Refused for `active`. */
  readonly oldSecret?: Uint8Array | undefined
  /** 0 to 7. For `active` the first free one is the default; `inactive` needs it or `oldSecret`. */
  readonly keyslot?: number | undefined
  /** Milliseconds of PBKDF2 for `active`; default 2000. */
  readonly iterTime?: number | undefined
}

/** What {@link amendLuks} needs besides the options. @public */
export interface LuksAmendInit extends UnlockLimits {
  readonly io: LuksIo
  readonly options: LuksAmendOptions
  /** A passphrase that opens the volume: `active` takes the master key from its slot. */
  readonly passphrase: Uint8Array
  /** Overwrites an active slot, erases the last one. The volume may be lost, also by a crash in between. */
  readonly force?: boolean
  /** A clock in milliseconds. */
  readonly now: () => number
}

/**
 * Adds or erases passphrases. The data and its key stay as they are. Nobody else may change the header meanwhile.
 *
 * @returns the header as it is now
 * @throws BlockError `invalid` for options that do not go together; `busy` for a slot in use; `denied` for a wrong
 * passphrase or a change that would lose the last key; the volume is unchanged then
 * @public
 */
export async function amendLuks(init: LuksAmendInit): Promise<LuksHeader> {
  const header = await readLuksHeader(init.io)
  return init.options.state === 'active' ? activateKeyslot(init, header) : deactivateKeyslots(init, header)
}
