import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { oracleAvailable, qemuImg, qemuIo, tempFolder } from '@blockloom/oracle'
import { createInMemory, optionsOf } from '../harness/create.ts'
import { openQcow2 } from '../harness/open.ts'

/** A valid image, and the files that it needs. */
export interface Sample {
  readonly name: string
  readonly image: Uint8Array
  readonly backing?: Uint8Array
  readonly dataFile?: Uint8Array
  /** What it is encrypted with, as the secret `key`. */
  readonly secret?: string
}

interface Recipe {
  readonly options: string
  readonly size: string
  readonly backing?: boolean
  readonly dataFile?: boolean
  /** `io …` for qemu-io, else for qemu-img, with the image's name at the end. */
  readonly steps: readonly string[]
}

const COMPRESSED = ['io write -c -P 7 32k 16k', 'io write -c -P 9 64k 16k']
const WRITTEN = ['io write -P 1 0 20k', 'io write -P 2 100k 6k', 'io write -z 48k 16k']
const SNAPSHOTS = ['snapshot -c first', 'io write -P 3 0 9k', 'io write -P 4 160k 4k', 'snapshot -c second', 'io write -P 5 4k 2k']

const recipes: Readonly<Record<string, Recipe>> = {
  'version-2': { options: 'compat=0.10,cluster_size=4k', size: '256k', steps: [...WRITTEN.slice(0, 2), ...COMPRESSED, ...SNAPSHOTS] },
  'version-3-64k': { options: 'cluster_size=64k', size: '1M', steps: ['io write -P 1 0 70k', 'io write -z 128k 64k', 'io write -c -P 3 192k 64k', 'io write -c -P 4 256k 64k'] },
  zstd: { options: 'cluster_size=16k,compression_type=zstd', size: '300k', steps: [...WRITTEN, ...COMPRESSED] },
  backing: { options: 'cluster_size=4k', size: '256k', backing: true, steps: [...WRITTEN, ...COMPRESSED] },
  snapshots: { options: 'cluster_size=2k', size: '256k', steps: [...WRITTEN, 'io write -c -P 7 32k 2k', ...SNAPSHOTS] },
  'extended-l2': { options: 'extended_l2=on,cluster_size=16k', size: '1M', backing: true, steps: [...WRITTEN, ...COMPRESSED, ...SNAPSHOTS] },
  everything: {
    options: 'extended_l2=on,cluster_size=16k,compression_type=zstd,lazy_refcounts=on,refcount_bits=32', size: '900k', backing: true,
    steps: [...WRITTEN, 'bitmap --add -g 4k', ...COMPRESSED, ...SNAPSHOTS, 'bitmap --add -g 64k', 'io write -P 6 700k 30k'],
  },
  'data-file': { options: 'cluster_size=4k', size: '256k', dataFile: true, steps: WRITTEN },
  bitmaps: { options: 'cluster_size=4k', size: '1M', steps: ['bitmap --add -g 4k', 'io write -P 1 0 20k', 'bitmap --add -g 512', 'bitmap --add --disable', 'io write -P 2 500k 6k'] },
  'refcounts-1-bit': { options: 'cluster_size=512,refcount_bits=1', size: '64k', steps: ['io write -P 1 0 20k', 'io write -c -P 2 32k 512', 'io write -z 40k 4k'] },
  'refcounts-64-bit': { options: 'cluster_size=512,refcount_bits=64', size: '64k', steps: ['io write -P 1 0 20k', 'snapshot -c first', 'io write -P 2 8k 4k'] },
}

/** Makes the samples with the reference tools. */
function makeCorpus(): Sample[] {
  const folder = tempFolder()
  try {
    return Object.entries(recipes).map(([name, { options, size, backing, dataFile, steps }]) => {
      const path = join(folder, name)
      if (backing) writeFileSync(`${path}.base`, 'backing '.repeat(6000))
      const more = backing ? ['-b', `${name}.base`, '-F', 'raw'] : []
      qemuImg('create', '-q', '-f', 'qcow2', '-o', options + (dataFile ? `,data_file=${path}.data` : ''), ...more, path, size)
      let bitmaps = 0
      for (const step of steps) {
        const [command, ...args] = step.split(' ')
        if (command === 'io') qemuIo(path, [args.join(' ')], { format: 'qcow2' })
        else qemuImg(command!, ...args, path, ...(command === 'bitmap' ? [`bitmap-${bitmaps++}`] : []))
      }
      // Like the backing file's, the name in the image must not tell where it was made.
      if (dataFile) qemuImg('amend', '-f', 'qcow2', '-o', `data_file=${name}.data`, path)
      return { name, image: read(path), ...(backing ? { backing: read(`${path}.base`) } : {}), ...(dataFile ? { dataFile: read(`${path}.data`) } : {}) }
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const SECRET = 'sesame'
/** Not from the reference, which takes seconds to make one and fails on a busy machine. */
const encrypted: Readonly<Record<string, string>> = {
  aes: 'encrypt.format=aes,encrypt.key-secret=key,cluster_size=4k',
  // Opening it takes no time, and the key takes little room.
  luks: 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=0,encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,cluster_size=4k',
}

async function makeEncrypted(): Promise<Sample[]> {
  return Promise.all(
    Object.entries(encrypted).map(async ([name, options]) => {
      const secrets = { key: SECRET }
      const file = await createInMemory({ ...optionsOf(options), size: 256 * 1024 }, new Map(), secrets)
      const image = await openQcow2({ file, options: { 'encrypt.key-secret': 'key' }, secrets })
      await image.writer!.write(0, new Uint8Array(20 * 1024).fill(1), 0)
      await image.zero!(48 * 1024, 16 * 1024, 0)
      await image.snapshots!.create!({ name: 'first' })
      await image.writer!.write(4096, new Uint8Array(9 * 1024).fill(2), 0)
      await image.writer!.flush('stable')
      await image.close()
      return { name, image: file.content.slice(), secret: SECRET }
    }),
  )
}

const GOLDEN = join(import.meta.dirname, 'golden')

/** The samples in the repository, for where the reference tools are absent. */
export function goldenCorpus(): Sample[] {
  const files = readdirSync(GOLDEN)
  const load = (name: string): Uint8Array => new Uint8Array(gunzipSync(readFileSync(join(GOLDEN, name))))
  return files
    .filter((file) => file.endsWith('.qcow2.gz'))
    .sort()
    .map((file) => {
      const name = file.slice(0, -'.qcow2.gz'.length)
      return {
        name,
        image: load(file),
        ...(name in encrypted ? { secret: SECRET } : {}),
        ...(files.includes(`${name}.base.gz`) ? { backing: load(`${name}.base.gz`) } : {}),
        ...(files.includes(`${name}.data.gz`) ? { dataFile: load(`${name}.data.gz`) } : {}),
      }
    })
}

/** Replaces the samples in the repository: `node corpus.ts`. */
async function writeGolden(): Promise<void> {
  const write = (name: string, bytes: Uint8Array | undefined): void => {
    if (bytes !== undefined) writeFileSync(join(GOLDEN, `${name}.gz`), gzipSync(bytes, { level: 9 }))
  }
  for (const { name, image, backing, dataFile } of [...makeCorpus(), ...(await makeEncrypted())]) {
    write(`${name}.qcow2`, image)
    write(`${name}.base`, backing)
    write(`${name}.data`, dataFile)
  }
}

/** The samples, fresh from the reference if it is there and can make them. */
export function corpus(): Sample[] {
  const golden = goldenCorpus()
  return oracleAvailable() ? [...makeCorpus(), ...golden.filter(({ secret }) => secret !== undefined)] : golden
}

const read = (path: string): Uint8Array => new Uint8Array(readFileSync(path))

if (process.argv[1] === import.meta.filename) await writeGolden()
