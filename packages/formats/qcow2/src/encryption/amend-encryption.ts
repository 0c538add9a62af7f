import { amendLuks, checkPassphrase } from '@blockloom/block-crypto'
import { BlockError } from '@blockloom/block-driver'
import { exclusively } from '../exclusive.ts'
import type { Qcow2Writer } from '../writer.ts'
import { cryptoHeaderIo } from './crypto-header-io.ts'
import type { EncryptAmendOptions } from './options.ts'
import { lookUpPassphrase } from './passphrase.ts'

/**
 * Adds a passphrase to an image that is encrypted with LUKS, or erases some; data and master key stay as they are. A
 * crash loses no other keyslot (see `amendLuks`).
 *
 * The writer's gate must be open: the image is taken for this alone.
 *
 * @param how - `force`: overwrite an active keyslot, erase the last one
 * @throws BlockError `unsupported` if the image has no LUKS; `invalid`, `busy`, `denied` in the reference's words; nothing has changed then
 * @internal
 */
export async function amendEncryption(writer: Qcow2Writer, options: EncryptAmendOptions, how: { readonly force?: boolean }): Promise<void> {
  const { image } = writer
  const { encryption } = image
  if (encryption === null) throw new BlockError('unsupported', "Can't amend encryption options - encryption not present", { detail: { option: 'encrypt.state' } })
  if (encryption.format !== 'luks') throw new BlockError('unsupported', 'Only LUKS encryption options can be amended', { detail: { option: 'encrypt.state' } })
  const state = checkState(options.state)
  const { secret, keySecret, clock } = encryption
  const passphrase = await lookUpPassphrase(secret, keySecret)
  const named = async (id: string | undefined): Promise<Uint8Array | undefined> => (id === undefined ? undefined : checkPassphrase(id, await secret(id)))
  const newSecret = await named(options['new-secret'])
  const oldSecret = await named(options['old-secret'])
  await exclusively(writer, async () => {
    encryption.header = await amendLuks({
      io: cryptoHeaderIo(image.file, image.area.extensions.encryption!),
      passphrase,
      options: { state, newSecret, oldSecret, keyslot: options.keyslot, iterTime: options['iter-time'] },
      force: how.force ?? false,
      now: () => clock.now(),
    })
  })
}

function checkState(state: string | undefined): 'active' | 'inactive' {
  if (state === 'active' || state === 'inactive') return state
  const message = state === undefined ? "Parameter 'state' is missing" : `Parameter 'state' does not accept value '${state}'`
  throw new BlockError('invalid', message, { detail: { option: 'encrypt.state' } })
}
