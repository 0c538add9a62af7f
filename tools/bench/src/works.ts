import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Work } from './measure.ts'
import { touchPageCache } from './page-cache.ts'
import { writeSampleDisk } from './sample-disk.ts'
import { chainWorks } from './works-chains.ts'
import { qcow2Works } from './works-qcow2.ts'

const GIB = 1 << 30
/** Of a convert, whatever the size of the image. */
const CONVERT_MEMORY = 200 << 20

const reference = (...args: string[]): void => void execFileSync('qemu-img', args, { stdio: 'ignore' })

/** Makes the images, all by the reference tool, and says what is done with them. */
export function prepareWorks(folder: string): Work[] {
  const at = (name: string): string => join(folder, name)
  writeSampleDisk(at('mixed.raw'), GIB)
  reference('convert', '-f', 'raw', '-O', 'qcow2', at('mixed.raw'), at('plain.qcow2'))
  reference('convert', '-f', 'raw', '-O', 'qcow2', '-c', at('mixed.raw'), at('zlib.qcow2'))
  reference('convert', '-f', 'raw', '-O', 'qcow2', '-c', '-o', 'compression_type=zstd', at('mixed.raw'), at('zstd.qcow2'))
  writeSampleDisk(at('small.raw'), 133 << 20)
  reference('create', '-f', 'qcow2', at('sparse.qcow2'), '1T')
  execFileSync('qemu-io', ['-f', 'qcow2', at('sparse.qcow2')], { input: sparseWrites(), stdio: ['pipe', 'ignore', 'inherit'] })
  // Requests last: they write over their images.
  return [...converts(at), ...qcow2Works(at), ...chainWorks(at), ...requests(at)]
}

/** 100 MiB in 1600 places, spread over 1 TiB. */
function sparseWrites(): string {
  const lines: string[] = []
  for (let i = 0; i < 1600; i++) lines.push(`write -P ${1 + (i % 255)} ${i * Math.floor(2 ** 40 / 1600 / 65536) * 65536} 64k`)
  return `${lines.join('\n')}\nquit\n`
}

function converts(at: (name: string) => string): Work[] {
  const convert = (name: string, limit: number, from: string, format: string, to: string[], same = true): Work => ({
    name,
    limit,
    kind: 'time',
    memoryLimit: CONVERT_MEMORY,
    args: ['convert', '-f', format, ...to, at(from), at('out')],
    prepare: () => rmSync(at('out'), { force: true }),
    warmUp: () => touchPageCache(at('warm')),
    verify: () => {
      if (same) reference('compare', '-f', format, '-F', to[to.indexOf('-O') + 1]!, at(from), at('out'))
    },
  })
  return [
    convert('qcow2 to raw', 1.0, 'plain.qcow2', 'qcow2', ['-O', 'raw']),
    convert('raw to qcow2', 1.0, 'mixed.raw', 'raw', ['-O', 'qcow2']),
    convert('zlib qcow2 to raw', 0.8, 'zlib.qcow2', 'qcow2', ['-O', 'raw']),
    convert('zstd qcow2 to raw', 0.8, 'zstd.qcow2', 'qcow2', ['-O', 'raw']),
    convert('raw to zlib qcow2', 0.6, 'mixed.raw', 'raw', ['-O', 'qcow2', '-c']),
    convert('1 TiB sparse qcow2 holding 100 MiB to qcow2', 1.5, 'sparse.qcow2', 'qcow2', ['-O', 'qcow2']),
  ]
}

function requests(at: (name: string) => string): Work[] {
  const works: Work[] = []
  for (const [image, format] of [['mixed.raw', 'raw'], ['plain.qcow2', 'qcow2']] as const) {
    for (const write of [false, true]) {
      for (const depth of [1, 32]) {
        // A step of an odd number of blocks that wraps around the image visits it in no order a read-ahead could use.
        const args = ['bench', '-f', format, '-c', depth === 1 ? '40000' : '100000', '-d', String(depth), '-s', '4096', '-S', String(4096 * 100_003), ...(write ? ['-w'] : []), at(image)]
        works.push({ name: `random 4 KiB ${write ? 'writes' : 'reads'}, depth ${depth}, ${format}`, limit: 1.5, kind: 'rate', args })
      }
    }
  }
  return works
}
