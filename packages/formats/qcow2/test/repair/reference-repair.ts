import { spawnSync } from 'node:child_process'
import { isBlockError, type CheckFix, type CheckResult } from '@blockloom/block-driver'
import type { MemoryChild } from '../harness/memory-child.ts'
import { openQcow2 } from '../harness/open.ts'
import type { Reference } from '../harness/reference.ts'

/** What `check -r` says and how it ends. */
export interface Outcome {
  readonly exit: number
  /** After the second look, as the tool prints it; null if it gave up. */
  readonly result: CheckResult | null
  readonly lines: readonly string[]
}

/** `qemu-img check`, with `-r` or without. */
export function referenceRepair(reference: Reference, name: string, fix: CheckFix): Outcome {
  const repair = fix === 'none' ? [] : ['-r', fix === 'errors' ? 'all' : 'leaks']
  const { stdout, stderr, status } = spawnSync('qemu-img', ['check', '-f', 'qcow2', '--output=json', ...repair, name], { encoding: 'utf8', maxBuffer: 1 << 28, cwd: reference.folder })
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Some clusters may be leaked') && !line.startsWith('qemu-img:') && !line.startsWith('qcow2:'))
  if (!stdout.startsWith('{')) return { exit: status ?? 128, result: null, lines }
  const json = JSON.parse(stdout) as Record<string, number>
  const count = (key: string): number => json[key] ?? 0
  return {
    exit: status ?? 128,
    lines,
    result: {
      corruptions: count('corruptions'),
      leaks: count('leaks'),
      checkErrors: count('check-errors'),
      corruptionsFixed: count('corruptions-fixed'),
      leaksFixed: count('leaks-fixed'),
      imageEndOffset: count('image-end-offset'),
      totalClusters: count('total-clusters'),
      allocatedClusters: count('allocated-clusters'),
      fragmentedClusters: count('fragmented-clusters'),
      compressedClusters: count('compressed-clusters'),
    },
  }
}

/** What our `check -r` does: a repair, and if it repaired anything, a second look. */
export async function ourRepair(file: MemoryChild, fix: CheckFix): Promise<Outcome> {
  const lines: string[] = []
  const report = (line: string): void => void lines.push(...line.split('\n'))
  const image = await openQcow2({ file, mode: { forCheck: true, readOnly: fix === 'none' } })
  try {
    let result: CheckResult = await image.check!.check({ fix, report })
    const { corruptionsFixed, leaksFixed } = result
    if (corruptionsFixed > 0 || leaksFixed > 0) result = { ...(await image.check!.check({ fix: 'none', report })), corruptionsFixed, leaksFixed }
    const exit = result.checkErrors > 0 ? 1 : result.corruptions > 0 ? 2 : result.leaks > 0 ? 3 : 0
    return { exit, result, lines }
  } catch (error) {
    if (!isBlockError(error)) throw error
    lines.push(`failed: ${error.message}`)
    return { exit: 1, result: null, lines }
  } finally {
    await image.close()
  }
}
