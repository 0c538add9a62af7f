import { isBlockError } from '@blockloom/block-driver'
import type { FormatBench, FormatImage } from '../../bench/format-bench.ts'
import type { OpenedImage } from '../../bench/opened-image.ts'
import type { DiskFile } from '../../child/disk-file.ts'
import type { Draft } from '../../draft.ts'
import { failure } from '../../failure.ts'
import { alignDown } from '../../model/ranges.ts'
import { describe, outcomeOf } from '../errors.ts'

const VARIANTS = 80
/** Where formats keep what they trust: the beginning, and of some the end. */
const HEAD = 1024
/** Here every field is damaged. */
const SWEPT = 128

/** @internal */
export const hostileCases: readonly Draft<FormatBench>[] = [
  {
    name: 'hostile: a damaged image opens or is refused with a BlockError, and never hangs',
    run: async (bench) => {
      const { image } = await bench.filled()
      for (let at = 0; at < SWEPT; at += 4) {
        for (const value of [0x00, 0xff]) {
          const damaged = image.clone()
          damaged.files.get('file')!.visible.write(at, new Uint8Array(4).fill(value))
          await use(bench, damaged, `${value} in bytes ${at} to ${at + 3}`)
        }
      }
      for (let i = 0; i < VARIANTS; i++) {
        const damaged = image.clone()
        const how = damage(bench, damaged.files.get('file')!)
        await use(bench, damaged, how)
      }
    },
  },
]

async function use(bench: FormatBench, image: FormatImage, how: string): Promise<void> {
  const attempt = async (what: string, work: () => Promise<unknown>) => {
    const outcome = await outcomeOf(work)
    if (!outcome.ok && !isBlockError(outcome.error)) throw failure(`${what} of an image with ${how}: ${describe(outcome.error)}, expected a BlockError`, outcome.error)
  }
  let opened: OpenedImage | undefined
  await attempt('open', async () => {
    opened = await image.session({ readOnly: true, forCheck: bench.random.oneIn(3) }).open()
  })
  if (!opened) return
  const live = opened
  const { size } = live
  const unit = live.limits.requestAlignment
  for (const start of [0, size / 2, size - 65536]) {
    const offset = alignDown(Math.max(0, Math.floor(start)), unit)
    const bytes = alignDown(Math.min(65536, size - offset), unit)
    if (bytes === 0) continue
    await attempt('read', () => live.read(offset, bytes))
    if (live.instance.extents) await attempt('extents', () => live.extent(offset, bytes))
  }
  if (live.instance.info) await attempt('info', () => live.call('info()', () => live.instance.info!()))
  if (live.instance.check) await live.call('check()', () => live.instance.check!.check({ fix: 'none' }))
  await live.closeWithoutFlush()
}

function damage(bench: FormatBench, file: DiskFile): string {
  const { random } = bench
  const { visible } = file
  const wanted = random.pick([random.int(HEAD), random.int(visible.size), visible.size - random.int(HEAD)])
  const at = Math.max(0, Math.min(wanted, visible.size - 8))
  switch (random.int(5)) {
    case 0: {
      const bit = random.int(8)
      visible.write(at, new Uint8Array([visible.slice(at, 1)[0]! ^ (2 ** bit)]))
      return `bit ${bit} of byte ${at} flipped`
    }
    case 1: {
      const start = alignDown(at, 4)
      visible.write(start, new Uint8Array(4).fill(0xff))
      return `ff ff ff ff at ${start}`
    }
    case 2: {
      const start = alignDown(at, 8)
      visible.write(start, random.bytes(8))
      return `garbage in bytes ${start} to ${start + 7}`
    }
    case 3: {
      const size = random.int(visible.size)
      visible.resize(size)
      return `its file cut to ${size} bytes`
    }
    default: {
      const start = alignDown(at, 512)
      visible.fill(start, Math.min(512, visible.size - start), 0)
      return `zeroes in the sector at ${start}`
    }
  }
}
