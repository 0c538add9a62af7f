import { rmSync } from 'node:fs'
import { imagesIn, reference, type Images } from './images.ts'
import type { Work } from './measure.ts'
import { touchPageCache } from './page-cache.ts'
import { chainWorks } from './works-chains.ts'
import { qcow2Works } from './works-qcow2.ts'

/** Of a convert, whatever the size of the image. */
const CONVERT_MEMORY = 200 << 20

/** What is measured, with images in the given folder. */
export function worksIn(folder: string): Work[] {
  const images = imagesIn(folder)
  // Requests last: they write over their images.
  return [...converts(images), ...qcow2Works(images), ...chainWorks(images), ...requests(images)]
}

function converts(images: Images): Work[] {
  const out = images.at('out')
  const convert = (name: string, limit: number, from: () => string, format: string, to: string[]): Work => ({
    name,
    limit,
    kind: 'time',
    memoryLimit: CONVERT_MEMORY,
    args: () => ['convert', '-f', format, ...to, from(), out],
    prepare: () => rmSync(out, { force: true }),
    warmUp: () => touchPageCache(images.at('warm')),
    verify: () => reference('compare', '-f', format, '-F', to[to.indexOf('-O') + 1]!, from(), out),
  })
  return [
    convert('qcow2 to raw', 1.0, images.plain, 'qcow2', ['-O', 'raw']),
    convert('raw to qcow2', 1.0, images.mixed, 'raw', ['-O', 'qcow2']),
    convert('zlib qcow2 to raw', 0.8, images.zlib, 'qcow2', ['-O', 'raw']),
    convert('zstd qcow2 to raw', 0.8, images.zstd, 'qcow2', ['-O', 'raw']),
    convert('raw to zlib qcow2', 0.6, images.mixed, 'raw', ['-O', 'qcow2', '-c']),
    convert('1 TiB sparse qcow2 holding 100 MiB to qcow2', 1.5, images.sparse, 'qcow2', ['-O', 'qcow2']),
  ]
}

function requests({ mixed, plain }: Images): Work[] {
  const works: Work[] = []
  for (const [image, format] of [[mixed, 'raw'], [plain, 'qcow2']] as const) {
    for (const write of [false, true]) {
      for (const depth of [1, 32]) {
        const count = depth === 1 ? '40000' : '100000'
        // A step of an odd number of blocks that wraps around the image visits it in no order a read-ahead could use.
        const args = ['bench', '-f', format, '-c', count, '-d', String(depth), '-s', '4096', '-S', String(4096 * 100_003), ...(write ? ['-w'] : [])]
        works.push({ name: `random 4 KiB ${write ? 'writes' : 'reads'}, depth ${depth}, ${format}`, limit: 1.5, kind: 'rate', args: () => [...args, image()] })
      }
    }
  }
  return works
}
