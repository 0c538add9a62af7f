import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
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

/** `qemu-img check` of many images, with `-r` or without: starting it from a shell takes a fraction of the time. */
export function referenceChecks(reference: Reference, images: readonly Uint8Array[], fix: CheckFix): Outcome[] {
  const { folder } = reference
  for (const [i, image] of images.entries()) writeFileSync(reference.path(`batch-${i}`), image)
  const repair = fix === 'none' ? '' : `-r ${fix === 'errors' ? 'all' : 'leaks'}`
  // It can count for minutes; then it has given up.
  const check = `timeout 20 qemu-img check -f qcow2 --output=json ${repair} batch-$i > batch-$i.out 2> batch-$i.err; echo $? > batch-$i.exit`
  if (images.length > 0) execFileSync('sh', ['-c', `i=0; while [ $i -lt ${images.length} ]; do ${check}; i=$((i + 1)); done`], { cwd: folder })
  const text = (name: string): string => readFileSync(reference.path(name), 'utf8')
  return images.map((_, i) => outcome(Number(text(`batch-${i}.exit`)), text(`batch-${i}.out`), text(`batch-${i}.err`)))
}

function outcome(exit: number, stdout: string, stderr: string): Outcome {
  const chatter = /^$|^(?:qemu-img|qcow2):|^Some clusters may be leaked/
  const lines = stderr.split('\n').filter((line) => !chatter.test(line))
  if (!stdout.startsWith('{')) return { exit, result: null, lines }
  const json = JSON.parse(stdout) as Record<string, number>
  const count = (key: string): number => json[key] ?? 0
  return {
    exit,
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

/** What our `check -r` does: a repair, and if it repaired anything, a second look. Null if the image does not open. */
export async function ourRepair(file: MemoryChild, fix: CheckFix, dataFile?: MemoryChild): Promise<Outcome | null> {
  const lines: string[] = []
  const report = (line: string): void => void lines.push(...line.split('\n'))
  const image = await openQcow2({ file, ...(dataFile === undefined ? {} : { dataFile }), mode: { forCheck: true, readOnly: fix === 'none' } }).catch(nullIfRefused)
  if (image === null) return null
  try {
    let result: CheckResult = await image.check!.check({ fix, report })
    const { corruptionsFixed, leaksFixed } = result
    if (corruptionsFixed > 0 || leaksFixed > 0) result = { ...(await image.check!.check({ fix: 'none', report })), corruptionsFixed, leaksFixed }
    // Like the tool: it gave up.
    if (result.checkErrors > 0 && result.totalClusters === undefined) return { exit: 1, result: null, lines }
    const exit = result.checkErrors > 0 ? 1 : result.corruptions > 0 ? 2 : result.leaks > 0 ? 3 : 0
    return { exit, result, lines }
  } catch (error) {
    nullIfRefused(error)
    return { exit: 1, result: null, lines }
  } finally {
    await image.close()
  }
}

function nullIfRefused(error: unknown): null {
  if (isBlockError(error)) return null
  throw error
}
