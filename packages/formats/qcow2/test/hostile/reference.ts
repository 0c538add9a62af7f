import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the reference says: accepted, and with which bytes, or refused, and why. */
export interface Opinion {
  readonly accepts: boolean
  readonly says: string
  readonly content?: Uint8Array
}

/** It reads tables entry by entry: 65536 snapshots take it 6 s on a calm machine. Being stopped is not an opinion. */
const TAKES_LONG_MS = 100_000

/** Runs a reference tool on files of a case; it may take long, but not for ever. */
export class ReferenceFolder {
  readonly path: string

  constructor(parent: string, files: Readonly<Record<string, Uint8Array>>) {
    this.path = join(parent, 'case')
    rmSync(this.path, { recursive: true, force: true })
    mkdirSync(this.path)
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(this.path, name), bytes)
  }

  info(image: string): Opinion {
    return this.#run('qemu-img', 'info', '-f', 'qcow2', image)
  }

  /** All bytes of the guest. */
  convert(image: string): Opinion {
    const opinion = this.#run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', image, 'out.raw')
    return opinion.accepts ? { ...opinion, content: new Uint8Array(readFileSync(join(this.path, 'out.raw'))) } : opinion
  }

  /** Some bytes of the guest, for disks that are too large. */
  read(image: string, offset: number, bytes: number): Opinion {
    const opinion = this.#run('qemu-io', '-r', '-f', 'qcow2', '-c', `read ${offset} ${bytes}`, image)
    return opinion.says.includes('failed') ? { ...opinion, accepts: false } : opinion
  }

  /** `accepts`: no corruptions; leaks are none. */
  check(image: string): Opinion {
    const result = this.#run('qemu-img', 'check', '-f', 'qcow2', image)
    return { ...result, accepts: result.accepts || (result.says.includes('leaked clusters') && !result.says.includes('errors were found')) }
  }

  write(image: string, ...commands: readonly string[]): Opinion {
    const opinion = this.#run('qemu-io', '-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), image)
    return opinion.says.includes('failed') ? { ...opinion, accepts: false } : opinion
  }

  #run(tool: string, ...args: readonly string[]): Opinion {
    const result = spawnSync(tool, args, { cwd: this.path, encoding: 'utf8', timeout: TAKES_LONG_MS, maxBuffer: 1 << 26, env: { ...process.env, LC_ALL: 'C' } })
    if (result.error !== undefined) throw new Error(`${tool} ${args.join(' ')} came to no opinion`, { cause: result.error })
    return { accepts: result.status === 0, says: result.stdout + result.stderr }
  }
}
