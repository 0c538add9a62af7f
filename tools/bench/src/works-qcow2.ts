import { copyFileSync, rmSync } from 'node:fs'
import { GIB, once, reference, type Images } from './images.ts'
import type { Work } from './measure.ts'
import { touchPageCache } from './page-cache.ts'

/** What is particular to qcow2: allocation, metadata, encryption; and how fast the tool starts. */
export function qcow2Works(images: Images): Work[] {
  return [...allocatingWrites(images), ...metadata(images), ...encryption(images), startUp(images)]
}

function allocatingWrites({ at }: Images): Work[] {
  const fresh = (size: string) => ({
    prepare: () => reference('create', '-f', 'qcow2', at('fresh.qcow2'), size),
    warmUp: () => touchPageCache(at('warm')),
  })
  const bench = ['bench', '-f', 'qcow2', '-w', '-d', '32']
  return [
    {
      name: 'allocating sequential 64 KiB writes, depth 32, qcow2',
      limit: 1.2,
      kind: 'rate',
      args: () => [...bench, '-c', '12000', '-s', '65536', '-S', '65536', at('fresh.qcow2')],
      ...fresh('1G'),
    },
    {
      name: 'allocating random 4 KiB writes, depth 32, qcow2',
      limit: 1.2,
      kind: 'rate',
      // Each goes to a cluster of its own.
      args: () => [...bench, '-c', '20000', '-s', '4096', '-S', String(65536 * 32_749), at('fresh.qcow2')],
      ...fresh('64G'),
    },
  ]
}

function metadata({ large }: Images): Work[] {
  const without = (): void => {
    try {
      reference('snapshot', '-d', 'one', large())
    } catch {
      // There is none.
    }
  }
  return [
    { name: 'check of 1 TiB, 64 GiB allocated', limit: 1.3, kind: 'time', args: () => ['check', '-f', 'qcow2', large()] },
    { name: 'snapshot create, 1 TiB, 64 GiB allocated', limit: 1.3, kind: 'time', args: () => ['snapshot', '-c', 'one', large()], prepare: without },
    {
      name: 'snapshot remove, 1 TiB, 64 GiB allocated',
      limit: 1.3,
      kind: 'time',
      args: () => ['snapshot', '-d', 'one', large()],
      prepare: () => {
        without()
        reference('snapshot', '-c', 'one', large())
      },
    },
  ]
}

function encryption({ at, mixed }: Images): Work[] {
  const secret = ['--object', 'secret,id=key,data=bench']
  // How long a passphrase takes to check is a choice, and would hide everything else.
  const options = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10'
  const encrypted = `driver=qcow2,encrypt.key-secret=key,file.filename=${at('luks.qcow2')}`
  const empty = once(() => {
    persistently(() => reference('create', ...secret, '-f', 'qcow2', '-o', options, at('empty-luks.qcow2'), String(GIB)))
    return at('empty-luks.qcow2')
  })
  const full = once(() => {
    copyFileSync(empty(), at('luks.qcow2'))
    reference('convert', ...secret, '-n', '--target-image-opts', '-f', 'raw', mixed(), encrypted)
    return encrypted
  })
  const target = `driver=qcow2,encrypt.key-secret=key,file.filename=${at('out')}`
  const common = { limit: 1.3, kind: 'time', warmUp: () => touchPageCache(at('warm')) } as const
  return [
    {
      ...common,
      name: 'raw to LUKS qcow2',
      // Into an image that is there: the reference measures how long a passphrase takes, which fails now and then.
      args: () => ['convert', ...secret, '-n', '--target-image-opts', '-f', 'raw', mixed(), target],
      prepare: () => copyFileSync(empty(), at('out')),
      verify: () => reference('compare', ...secret, '--image-opts', `driver=raw,file.filename=${mixed()}`, target),
    },
    {
      ...common,
      name: 'LUKS qcow2 to raw',
      args: () => ['convert', ...secret, '--image-opts', full(), '-O', 'raw', at('out')],
      prepare: () => rmSync(at('out'), { force: true }),
      verify: () => reference('compare', '-f', 'raw', '-F', 'raw', mixed(), at('out')),
    },
  ]
}

/** Tries several times. */
function persistently(work: () => void): void {
  for (let left = 5; ; left--) {
    try {
      return work()
    } catch (error) {
      if (left === 0) throw error
    }
  }
}

function startUp({ plain }: Images): Work {
  return { name: 'info, against starting Node', limit: 3, kind: 'time', args: () => ['info', plain()], theirs: [process.execPath, '-e', '0'] }
}
