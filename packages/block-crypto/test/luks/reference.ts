import { readFileSync, writeFileSync } from 'node:fs'
import { qemuImgResult } from '@blockloom/oracle'

/** A repeatable pattern in which no two sectors are alike. */
export function pattern(bytes: number): Uint8Array {
  const words = new Uint32Array(bytes / 4)
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e3779b1)
  return new Uint8Array(words.buffer)
}

/** `qemu-img`, again when its measurement of CPU time fails, as it does on a busy host. */
export function qemuCrypto(...args: readonly string[]): string {
  for (let attempt = 0; ; attempt++) {
    const { status, stdout, stderr } = qemuImgResult(...args)
    if (status === 0) return stdout
    if (attempt === 20 || !stderr.includes('Unable to get accurate CPU usage')) throw new Error(`qemu-img ${args.join(' ')}: ${stderr}`)
  }
}

const secret = (passphrase: string): readonly string[] => ['--object', `secret,id=s,data=${passphrase}`]

/** Makes a LUKS image with the reference tool that holds `content`. */
export function qemuLuks(folder: string, passphrase: string, content: Uint8Array): string {
  const image = `${folder}/reference.luks`
  qemuCrypto('create', '-q', '-f', 'luks', ...secret(passphrase), '-o', 'key-secret=s,iter-time=10', image, String(content.length))
  qemuWriteLuks(folder, passphrase, image, content)
  return image
}

/** Has the reference tool encrypt `content` into an image that exists. */
export function qemuWriteLuks(folder: string, passphrase: string, image: string, content: Uint8Array): void {
  const plain = `${folder}/plain.raw`
  writeFileSync(plain, content)
  qemuCrypto('convert', '-n', '-f', 'raw', ...secret(passphrase), '--target-image-opts', plain, `driver=luks,key-secret=s,file.filename=${image}`)
}

/** What the reference tool reads through LUKS. */
export function qemuReadLuks(folder: string, passphrase: string, image: string): Uint8Array {
  const plain = `${folder}/decrypted.raw`
  qemuCrypto('convert', ...secret(passphrase), '--image-opts', `driver=luks,key-secret=s,file.filename=${image}`, '-O', 'raw', plain)
  return new Uint8Array(readFileSync(plain))
}

/** What the reference tool says about the volume. */
export function qemuLuksInfo(passphrase: string, image: string): unknown {
  const text = qemuCrypto('info', '--output=json', ...secret(passphrase), '--image-opts', `driver=luks,key-secret=s,file.filename=${image}`)
  return (JSON.parse(text) as { 'format-specific': { data: unknown } })['format-specific'].data
}

/** Makes an encrypted qcow2 image with the reference tool that holds `content`. */
export function qemuQcow2(folder: string, passphrase: string, format: 'luks' | 'aes', content: Uint8Array, ...options: readonly string[]): Uint8Array {
  const image = `${folder}/reference.qcow2`
  const plain = `${folder}/plain.raw`
  writeFileSync(plain, content)
  const encryption = [`format=${format}`, 'key-secret=s', ...options].map((option) => `encrypt.${option}`).join(',')
  qemuCrypto('create', '-q', '-f', 'qcow2', ...secret(passphrase), '-o', encryption, image, String(content.length))
  qemuCrypto('convert', '-n', '-f', 'raw', ...secret(passphrase), '--target-image-opts', plain, `driver=qcow2,encrypt.key-secret=s,file.filename=${image}`)
  return new Uint8Array(readFileSync(image))
}
