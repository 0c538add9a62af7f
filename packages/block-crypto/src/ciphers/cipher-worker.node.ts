import type { ivGenerator } from '../sectors/iv-generator.ts'
import type { SectorMode } from '../sectors/sector-cipher.ts'
import type { xts } from '../sectors/xts.ts'
import type { AesBlocks } from './aes-blocks.ts'
import type { ThreadedXts } from './sector-threads.ts'

/** What a thread is told: a cipher, that one is not needed any more, or what to transform with one. @internal */
export type CipherMessage =
  | { readonly kind: 'add'; readonly id: number; readonly cipher: ThreadedXts }
  | { readonly kind: 'forget'; readonly id: number }
  | { readonly kind: 'run'; readonly id: number; readonly encrypts: boolean; readonly offset: number; readonly bytes: number; readonly firstSector: number }

/** What a thread is started with: the memory that data comes and goes in. @internal */
export interface CipherWorkerData {
  readonly memory: SharedArrayBuffer
  /** Bytes that are transformed at a time. */
  readonly chunk: number
}

/**
 * The whole program of a thread, as a function without any reference to what is around it: it is started from its own
 * text, so that it survives every bundler. It answers each `run` with whether it was done.
 *
 * @internal
 */
export function cipherWorker(makeXts: typeof xts, makeIvs: typeof ivGenerator): void {
  const builtin = process.getBuiltinModule
  const { parentPort, workerData } = builtin('node:worker_threads')
  const { createCipheriv, createDecipheriv } = builtin('node:crypto')
  const { memory, chunk } = workerData as CipherWorkerData
  const ciphers = new Map<number, { readonly mode: SectorMode; readonly sectorSize: number }>()

  const aes = (key: Uint8Array): AesBlocks => {
    const algorithm = `aes-${key.length * 8}-ecb`
    const encryptor = createCipheriv(algorithm, key, null).setAutoPadding(false)
    const decryptor = createDecipheriv(algorithm, key, null).setAutoPadding(false)
    return { encrypt: (blocks) => encryptor.update(blocks), decrypt: (blocks) => decryptor.update(blocks) }
  }

  const add = (id: number, { key, ivBits, sectorSize }: ThreadedXts): void => {
    const most = Math.max(1, Math.floor(chunk / sectorSize))
    const half = key.length / 2
    const mode = makeXts(aes(key.subarray(0, half)), aes(key.subarray(half)), makeIvs(ivBits, most), sectorSize, most)
    key.fill(0)
    ciphers.set(id, { mode, sectorSize })
  }

  const run = (message: Extract<CipherMessage, { kind: 'run' }>): boolean => {
    const cipher = ciphers.get(message.id)
    if (cipher === undefined) return false
    const { mode, sectorSize } = cipher
    const step = Math.max(1, Math.floor(chunk / sectorSize)) * sectorSize
    for (let at = 0; at < message.bytes; at += step) {
      const part = new Uint8Array(memory, message.offset + at, Math.min(step, message.bytes - at))
      mode[message.encrypts ? 'encrypt' : 'decrypt'](part, message.firstSector + at / sectorSize)
    }
    return true
  }

  parentPort!.on('message', (message: CipherMessage) => {
    if (message.kind === 'add') add(message.id, message.cipher)
    else if (message.kind === 'forget') ciphers.delete(message.id)
    else parentPort!.postMessage(run(message))
  })
}
