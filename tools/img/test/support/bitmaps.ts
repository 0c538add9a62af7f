import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { qemuImg } from '@blockloom/oracle'
import { openImage } from 'blockloom'

/** A bitmap as `qemu-img info` lists it. */
export interface ListedBitmap {
  readonly name: string
  readonly granularity: number
  readonly auto: boolean
  readonly inUse: boolean
}

/** The bitmaps of an image, by the reference. */
export function flagsOf(image: string): ListedBitmap[] {
  const info = JSON.parse(qemuImg('info', '--output=json', image)) as { 'format-specific': { data: { bitmaps?: { name: string; granularity: number; flags: string[] }[] } } }
  const { bitmaps = [] } = info['format-specific'].data
  return bitmaps.map(({ name, granularity, flags }) => ({ name, granularity, auto: flags.includes('auto'), inUse: flags.includes('in-use') }))
}

/** The dirty areas of a bitmap, as the reference's NBD server exports them. */
export async function dirtyAreas(image: string, bitmap: string): Promise<{ offset: number; bytes: number }[]> {
  const folder = mkdtempSync(join(tmpdir(), 'blockloom-nbd-'))
  const socket = join(folder, 's')
  const server = spawn('qemu-nbd', ['-r', '-f', 'qcow2', '-k', socket, '-B', bitmap, image], { cwd: dirname(image), stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  server.stderr.on('data', (text: Buffer) => void (complaint += text.toString()))
  const ended = once(server, 'exit')
  try {
    while (!existsSync(socket)) {
      if (server.exitCode !== null) throw new Error(`qemu-nbd: ${complaint}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    // A comma in a name is written twice.
    const context = `qemu:dirty-bitmap:${bitmap}`.replaceAll(',', ',,')
    const map = spawnSync('qemu-img', ['map', '--output=json', '--image-opts', `driver=nbd,server.type=unix,server.path=${socket},x-dirty-bitmap=${context}`], { encoding: 'utf8' })
    if (map.status !== 0) throw new Error(map.stderr)
    const runs = JSON.parse(map.stdout) as { start: number; length: number; data: boolean }[]
    return runs.filter(({ data }) => !data).map(({ start, length }) => ({ offset: start, bytes: length }))
  } finally {
    server.kill()
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The same, as we read them. */
export async function ourDirtyAreas(image: string, bitmap: string): Promise<{ offset: number; bytes: number }[]> {
  await using disk = await openImage(image, { format: 'qcow2', noBacking: true, implicit: 'allow' })
  return [...(await disk.bitmaps.load(bitmap)).dirtyAreas()]
}

const LIBRARY = fileURLToPath(import.meta.resolve('blockloom'))

/** Opens an image for writing, writes (or not), and dies. */
export function killedWhileWriting(image: string, who: 'ours' | 'theirs' = 'theirs', what: 'write' | 'nothing' = 'write'): void {
  if (who === 'theirs') {
    spawnSync('qemu-io', ['-f', 'qcow2', '-c', 'write 64k 64k', '-c', 'abort', image])
    return
  }
  const script = `
    const { openImage } = await import(${JSON.stringify(LIBRARY)})
    const disk = await openImage(${JSON.stringify(image)}, { format: 'qcow2', write: true })
    if (${what === 'write'}) await disk.write(65536, new Uint8Array(65536).fill(1))
    else await disk.read(0, 512)
    process.kill(process.pid, 'SIGKILL')`
  const { signal, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  if (signal !== 'SIGKILL') throw new Error(stderr)
}
