import { execFileSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeSampleDisk } from './sample-disk.ts'

export const GIB = 1 << 30

/** Runs the reference tool; anything but success is an error. */
export const reference = (...args: string[]): void => void execFileSync('qemu-img', args, { stdio: 'ignore' })

/** Images that several works use, each made by the reference tool when it is first asked for. */
export interface Images {
  /** The path of a file that is made by the work itself. */
  at(name: string): string
  /** 1 GiB of mixed data. */
  readonly mixed: () => string
  /** The same as qcow2: not compressed, zlib, zstd. */
  readonly plain: () => string
  readonly zlib: () => string
  readonly zstd: () => string
  /** 100 MiB in 1600 places, spread over 1 TiB. */
  readonly sparse: () => string
  /** 64 GiB allocated of 1 TiB, in a sparse file. */
  readonly large: () => string
  /** 1 GiB of other mixed data, as qcow2. */
  readonly other: () => string
}

export function imagesIn(folder: string): Images {
  const at = (name: string): string => join(folder, name)
  const image = (name: string, make: (path: string) => void): (() => string) => once(() => {
    make(at(name))
    return at(name)
  })
  const toQcow2 = (from: string, to: string, ...options: string[]): void => reference('convert', '-f', 'raw', '-O', 'qcow2', ...options, from, to)
  const mixed = image('mixed.raw', (path) => writeSampleDisk(path, GIB))
  return {
    at,
    mixed,
    plain: image('plain.qcow2', (path) => toQcow2(mixed(), path)),
    zlib: image('zlib.qcow2', (path) => toQcow2(mixed(), path, '-c')),
    zstd: image('zstd.qcow2', (path) => toQcow2(mixed(), path, '-c', '-o', 'compression_type=zstd')),
    sparse: image('sparse.qcow2', (path) => {
      reference('create', '-f', 'qcow2', path, '1T')
      execFileSync('qemu-io', ['-f', 'qcow2', path], { input: sparseWrites(), stdio: ['pipe', 'ignore', 'inherit'] })
    }),
    large: image('large.qcow2', (path) => {
      reference('create', '-f', 'qcow2', '-o', 'preallocation=metadata', path, '64G')
      reference('resize', '-f', 'qcow2', path, '1T')
    }),
    other: image('other.qcow2', (path) => {
      writeSampleDisk(at('other.raw'), GIB, 7)
      toQcow2(at('other.raw'), path)
    }),
  }
}

/** A result that is made when it is first asked for. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** A copy of an image, made once. */
export function copyOf(images: Images, image: () => string, name: string): () => string {
  return once(() => {
    copyFileSync(image(), images.at(name))
    return images.at(name)
  })
}

function sparseWrites(): string {
  const lines: string[] = []
  for (let i = 0; i < 1600; i++) lines.push(`write -P ${1 + (i % 255)} ${i * Math.floor(2 ** 40 / 1600 / 65536) * 65536} 64k`)
  return `${lines.join('\n')}\nquit\n`
}
