import { option, type OptionsOf } from '@blockloom/block-driver'

/** Run-time options, QAPI's `BlockdevQcow2Encryption`. @internal */
export const encryptOptions = option.object(
  {
    format: option.choice(['aes', 'luks'], 'How the image is encrypted; it must be what the image says'),
    'key-secret': option.string('ID of the secret that has the passphrase'),
  },
  'Encryption; an encrypted image needs `encrypt.key-secret`',
)

const createFields = {
  format: option.string("Encrypt the image, format choices: 'aes', 'luks'"),
  'key-secret': option.string('ID of secret providing qcow AES key or LUKS passphrase'),
  'cipher-alg': option.string('Name of encryption cipher algorithm'),
  'cipher-mode': option.string('Name of encryption cipher mode'),
  'ivgen-alg': option.string('Name of IV generator algorithm'),
  'ivgen-hash-alg': option.string('Name of IV generator hash algorithm'),
  'hash-alg': option.string('Name of encryption hash algorithm'),
  'iter-time': option.integer('Time to spend in PBKDF in milliseconds'),
} as const

/** Options of a new image, in the order in which `qemu-img create` repeats them. @internal */
export const encryptCreateOptions = option.object(createFields, 'Encryption of the new image')

/** Values of {@link encryptCreateOptions}. @internal */
export type EncryptCreateOptions = OptionsOf<typeof createFields>

const amendFields = {
  state: option.string('Select new state of affected keyslots (active/inactive)'),
  'new-secret': option.string('New secret to set in the matching keyslots. Empty string to erase'),
  'old-secret': option.string('Select all keyslots that match this password'),
  keyslot: option.integer('Select a single keyslot to modify explicitly'),
  'iter-time': option.integer('Time to spend in PBKDF in milliseconds'),
} as const

/** Options that change the keyslots of an image with LUKS. @internal */
export const encryptAmendOptions = option.object(amendFields, 'Keyslots of an image that is encrypted with LUKS')

/** Values of {@link encryptAmendOptions}. @internal */
export type EncryptAmendOptions = OptionsOf<typeof amendFields>
