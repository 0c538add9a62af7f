/** Cipher and key length, as QEMU's `cipher-alg` names them; of the AES family only. @public */
export type CipherAlgName = 'aes-128' | 'aes-192' | 'aes-256'

/** Bytes of one AES key. @internal */
export const CIPHER_KEY_BYTES: Readonly<Record<CipherAlgName, number>> = { 'aes-128': 16, 'aes-192': 24, 'aes-256': 32 }
