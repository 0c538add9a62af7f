import { readFileSync } from 'node:fs'
import type { Reference } from './reference.ts'

/** How the reference makes an image: size, options, `qemu-io` commands, and what else. */
export type Recipe = readonly [name: string, size: string, options: string, commands: readonly string[], then?: (reference: Reference) => void]

const WRITES = ['write 0 64k', 'write 128k 128k', 'write -z 512k 64k', 'write -c 704k 64k', 'write 40k 3k']
/** Three snapshots, and changes between them. */
const snapshots = (reference: Reference): void => {
  reference.img('snapshot', '-c', 'one', 'i')
  reference.io('i', 'write 0 64k', 'write 256k 4k')
  reference.img('snapshot', '-c', 'two', 'i')
  reference.img('snapshot', '-c', 'three', 'i')
  reference.io('i', 'write 130k 64k', 'discard 64k 64k')
}

/** Images with every kind of metadata. */
export const RECIPES: readonly Recipe[] = [
  ['plain', '1M', '', WRITES],
  ['version 2', '2M', 'compat=v2,cluster_size=4k', ['write 0 64k', 'write 128k 128k', 'write -c 704k 4k']],
  ['small clusters', '600k', 'cluster_size=512', ['write 0 200k', 'write -c 300k 512', 'write 400k 10k']],
  ['one-bit refcounts', '1M', 'refcount_bits=1,cluster_size=4k', ['write 0 100k', 'write 500k 30k']],
  ['two-bit refcounts', '1M', 'refcount_bits=2,cluster_size=4k', ['write 0 100k'], (reference) => void reference.img('snapshot', '-c', 'one', 'i')],
  ['wide refcounts', '1M', 'refcount_bits=64,cluster_size=4k', WRITES.slice(0, 3), snapshots],
  ['extended L2 entries', '1M', 'extended_l2=on,cluster_size=16k', [...WRITES.slice(0, 3), 'write -c 704k 16k', 'write 300k 2k', 'write -z 310k 2k'], snapshots],
  ['snapshots', '1M', '', WRITES, snapshots],
  ['a data file', '1M', 'data_file=d.img', WRITES.slice(0, 3)],
  ['a raw data file', '1M', 'data_file=r.img,data_file_raw=on', WRITES.slice(0, 3)],
  ['preallocated', '300k', 'preallocation=metadata,cluster_size=1k', []],
  [
    'bitmaps',
    '64M',
    '',
    WRITES.slice(0, 3),
    (reference) => {
      reference.img('bitmap', '--add', '-g', '512', 'i', 'b0')
      reference.img('bitmap', '--add', 'i', 'b1')
      reference.io('i', 'write 20M 64k')
    },
  ],
  ['an odd end', '1000k', 'cluster_size=2M', ['write 0 1000k']],
  ['nothing', '0', '', []],
]

/** Makes an image, as file `i`. */
export function makeRecipe(reference: Reference, [, size, options, commands, then]: Recipe): Uint8Array {
  reference.create('i', size, options)
  for (const command of commands) reference.io('i', command)
  then?.(reference)
  return new Uint8Array(readFileSync(reference.path('i')))
}
