import { execFileSync } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { copyOf, once, reference, type Images } from './images.ts'
import type { Work } from './measure.ts'
import { touchPageCache } from './page-cache.ts'

/** Two images of 1 GiB above, beside or against each other. */
export function chainWorks(images: Images): Work[] {
  return [...commits(images), ...rebases(images), ...compares(images)]
}

function commits(images: Images): Work[] {
  const { at, plain, other } = images
  // The mixed disk as an overlay of the other one, and what a guest sees of it.
  const copied = copyOf(images, plain, 'overlay.qcow2')
  const overlay = once(() => {
    reference('rebase', '-u', '-f', 'qcow2', '-b', at('below.qcow2'), '-F', 'qcow2', copied())
    return copied()
  })
  const seen = once(() => {
    copyFileSync(other(), at('below.qcow2'))
    reference('convert', '-f', 'qcow2', '-O', 'raw', overlay(), at('both.raw'))
    return at('both.raw')
  })
  const common = {
    limit: 1,
    kind: 'time',
    prepare: () => {
      seen()
      copyFileSync(overlay(), at('top.qcow2'))
      copyFileSync(other(), at('below.qcow2'))
    },
    warmUp: () => touchPageCache(at('warm')),
    verify: () => reference('compare', '-f', 'qcow2', '-F', 'raw', at('below.qcow2'), seen()),
  } as const
  return [
    { ...common, name: 'commit of a 1 GiB overlay', args: () => ['commit', '-f', 'qcow2', at('top.qcow2')] },
    { ...common, name: 'commit of a 1 GiB overlay, which is kept', args: () => ['commit', '-d', '-f', 'qcow2', at('top.qcow2')] },
  ]
}

function rebases(images: Images): Work[] {
  const { at, plain, mixed, other } = images
  const thin = once(() => {
    reference('create', '-f', 'qcow2', '-b', plain(), '-F', 'qcow2', at('thin.qcow2'))
    return at('thin.qcow2')
  })
  const copied = copyOf(images, plain, 'similar.qcow2')
  const similar = once(() => {
    execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 9 100M 10M', copied()], { stdio: 'ignore' })
    return copied()
  })
  const rebase = (name: string, to: () => string): Work => ({
    name,
    limit: 1,
    kind: 'time',
    args: () => ['rebase', '-f', 'qcow2', '-b', to(), '-F', 'qcow2', at('top.qcow2')],
    prepare: () => copyFileSync(thin(), at('top.qcow2')),
    warmUp: () => touchPageCache(at('warm')),
    verify: () => reference('compare', '-f', 'qcow2', '-F', 'raw', at('top.qcow2'), mixed()),
  })
  return [rebase('rebase to another 1 GiB', other), rebase('rebase to a 1 GiB copy with 10 MiB changed', similar)]
}

function compares({ mixed, plain, zlib }: Images): Work[] {
  const compare = (name: string, image: () => string): Work => ({ name, limit: 1, kind: 'time', args: () => ['compare', '-f', 'raw', '-F', 'qcow2', mixed(), image()] })
  return [compare('compare 1 GiB, raw and qcow2', plain), compare('compare 1 GiB, raw and zlib qcow2', zlib)]
}
