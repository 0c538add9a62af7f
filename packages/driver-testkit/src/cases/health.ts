import type { CheckResult } from '@blockloom/block-driver'
import type { Bench, Image } from '../bench/bench.ts'
import type { OpenedImage } from '../bench/opened-image.ts'
import { check } from '../failure.ts'
import type { ByteModel } from '../model/byte-model.ts'

/** Runs the driver's own check, if it has one, and expects no corruption; leaks only where they are allowed. @internal */
export async function checkHealth(opened: OpenedImage, when: string, leaks: 'allowed' | 'none' = 'allowed'): Promise<CheckResult | undefined> {
  const facet = opened.instance.check
  if (!facet) return undefined
  // What waits for a flush to be freed is no leak.
  if (leaks === 'none' && opened.instance.writer) await opened.flush('stable')
  const lines: string[] = []
  const result = await opened.call('check()', () => facet.check({ fix: 'none', report: (line) => void lines.push(line) }))
  const said = lines.length > 0 ? ` (${lines.slice(0, 3).join('; ')})` : ''
  check(result.corruptions === 0, `check finds ${result.corruptions} corruptions ${when}${said}`)
  check(result.checkErrors === 0, `check finds ${result.checkErrors} errors ${when}${said}`)
  check(leaks === 'allowed' || result.leaks === 0, `check finds ${result.leaks} leaks ${when}${said}`)
  return result
}

/** Opens an image again and checks its bytes and its health. @internal */
export async function checkReopened(bench: Bench, image: Image, model: ByteModel, when: string): Promise<void> {
  if (!bench.persistent) return
  const again = await bench.open(image)
  await model.checkAll(again, when)
  await checkHealth(again, when)
  await again.close()
}
