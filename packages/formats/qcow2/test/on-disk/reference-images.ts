import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** True if the reference tools are installed. */
export const hasReference = spawnSync('qemu-img', ['--version']).status === 0

/** A temporary folder with images made by the reference tools. */
export class ReferenceImages {
  readonly #folder = mkdtempSync(join(tmpdir(), 'qcow2-on-disk-'))

  path(name: string): string {
    return join(this.#folder, name)
  }

  /** Runs a reference tool in the folder. */
  run(tool: 'qemu-img' | 'qemu-io', ...args: string[]): string {
    return execFileSync(tool, args, { cwd: this.#folder, stdio: 'pipe', encoding: 'utf8' })
  }

  /** Creates a qcow2 image and returns its bytes. */
  create(name: string, size: string, ...options: string[]): Uint8Array {
    for (let attempt = 1; ; attempt++) {
      try {
        this.run('qemu-img', 'create', '-q', '-f', 'qcow2', ...options, name, size)
        break
      } catch (error) {
        // LUKS measures the CPU to choose its iterations, which fails now and then on a busy machine.
        if (attempt === 10 || !String(error).includes('Unable to get accurate CPU usage')) throw error
      }
    }
    return this.read(name)
  }

  read(name: string): Uint8Array {
    return new Uint8Array(readFileSync(this.path(name)))
  }

  write(name: string, bytes: Uint8Array): void {
    writeFileSync(this.path(name), bytes)
  }

  /** What the reference says about opening an image: `ok`, or the first line of its complaint. */
  verdict(bytes: Uint8Array, command: 'info' | 'check' = 'info'): string {
    this.write('verdict.qcow2', bytes)
    const result = spawnSync('qemu-img', [command, '-f', 'qcow2', 'verdict.qcow2'], {
      cwd: this.#folder,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    })
    const complaint = /Could not open 'verdict.qcow2': (.*)/.exec(result.stderr)
    return complaint === null ? 'ok' : complaint[1]!
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true })
  }
}
