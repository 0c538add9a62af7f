import type { LuksHeader } from '@blockloom/block-crypto'
import type { Clock, SecretLookup } from '@blockloom/block-driver'
import type { DataCipher } from './data-cipher.ts'

/** How an open image is encrypted. @internal */
export interface Encryption {
  readonly format: 'aes' | 'luks'
  /** null: opened for its metadata only. Then the image has no data file either, so that nobody reads or writes guest data. */
  readonly cipher: DataCipher | null
  /** What the LUKS header says now; null with the old AES. */
  header: LuksHeader | null
  /** Where the passphrase comes from that opened the image, and others. */
  readonly keySecret: string | undefined
  readonly secret: SecretLookup
  readonly clock: Clock
}
