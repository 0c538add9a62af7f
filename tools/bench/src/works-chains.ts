import { execFileSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import type { Work } from './measure.ts'
import { touchPageCache } from './page-cache.ts'
import { writeSampleDisk } from './sample-disk.ts'

const reference = (...args: string[]): void => void execFileSync('qemu-img', args, { stdio: 'ignore' })

/** Two images of 1 GiB above, beside or against each other. */
export function chainWorks(at: (name: string) => string): Work[] {
  writeSampleDisk(at('other.raw'), 1 << 30, 7)
  reference('convert', '-f', 'raw', '-O', 'qcow2', at('other.raw'), at('other.qcow2'))
  return [...commits(at), ...rebases(at), ...compares(at)]
}

function commits(at: (name: string) => string): Work[] {
  // The mixed disk as an overlay of the other one, and what a guest sees of it.
  copyFileSync(at('plain.qcow2'), at('overlay.qcow2'))
  reference('rebase', '-u', '-f', 'qcow2', '-b', at('below.qcow2'), '-F', 'qcow2', at('overlay.qcow2'))
  copyFileSync(at('other.qcow2'), at('below.qcow2'))
  reference('convert', '-f', 'qcow2', '-O', 'raw', at('overlay.qcow2'), at('both.raw'))
  const common = {
    limit: 1,
    kind: 'time',
    prepare: () => {
      copyFileSync(at('overlay.qcow2'), at('top.qcow2'))
      copyFileSync(at('other.qcow2'), at('below.qcow2'))
    },
    warmUp: () => touchPageCache(at('warm')),
    verify: () => reference('compare', '-f', 'qcow2', '-F', 'raw', at('below.qcow2'), at('both.raw')),
  } as const
  return [
    { ...common, name: 'commit of a 1 GiB overlay', args: ['commit', '-f', 'qcow2', at('top.qcow2')] },
    { ...common, name: 'commit of a 1 GiB overlay, which is kept', args: ['commit', '-d', '-f', 'qcow2', at('top.qcow2')] },
  ]
}

function rebases(at: (name: string) => string): Work[] {
  reference('create', '-f', 'qcow2', '-b', at('plain.qcow2'), '-F', 'qcow2', at('thin.qcow2'))
  copyFileSync(at('plain.qcow2'), at('similar.qcow2'))
  execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 9 100M 10M', at('similar.qcow2')], { stdio: 'ignore' })
  const rebase = (name: string, to: string): Work => ({
    name,
    limit: 1,
    kind: 'time',
    args: ['rebase', '-f', 'qcow2', '-b', at(to), '-F', 'qcow2', at('top.qcow2')],
    prepare: () => copyFileSync(at('thin.qcow2'), at('top.qcow2')),
    warmUp: () => touchPageCache(at('warm')),
    verify: () => reference('compare', '-f', 'qcow2', '-F', 'raw', at('top.qcow2'), at('mixed.raw')),
  })
  return [rebase('rebase to another 1 GiB', 'other.qcow2'), rebase('rebase to a 1 GiB copy with 10 MiB changed', 'similar.qcow2')]
}

function compares(at: (name: string) => string): Work[] {
  const compare = (name: string, image: string): Work => ({ name, limit: 1, kind: 'time', args: ['compare', '-f', 'raw', '-F', 'qcow2', at('mixed.raw'), at(image)] })
  return [compare('compare 1 GiB, raw and qcow2', 'plain.qcow2'), compare('compare 1 GiB, raw and zlib qcow2', 'zlib.qcow2')]
}
