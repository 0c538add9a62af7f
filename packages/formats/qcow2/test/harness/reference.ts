import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryChild } from './memory-child.ts'

function available(): boolean {
  try {
    execFileSync('qemu-img', ['--version'], { stdio: 'ignore' })
    execFileSync('qemu-io', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    if (process.env['BLOCKLOOM_REQUIRE_REFERENCE'] !== undefined) throw new Error('the reference tools are missing')
    return false
  }
}

/** Tests against the reference tools run only where they are installed. */
export const haveReference = available()

/** A temporary folder and the reference tools in it. */
export class Reference {
  readonly folder = mkdtempSync(join(tmpdir(), 'qcow2-test-'))

  path(name: string): string {
    return join(this.folder, name)
  }

  img(...args: string[]): string {
    return this.#run('qemu-img', args)
  }

  create(name: string, size: string, options = '', more: string[] = []): void {
    this.img('create', '-q', '-f', 'qcow2', ...(options === '' ? [] : ['-o', options]), ...more, name, size)
  }

  io(name: string, ...commands: string[]): string {
    return this.#run('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), name])
  }

  /** What qemu-io prints, also if it fails. */
  tryIo(open: readonly string[], ...commands: string[]): string {
    const { stdout, stderr } = spawnSync('qemu-io', [...open, ...commands.flatMap((command) => ['-c', command])], { cwd: this.folder, encoding: 'utf8' })
    return stdout + stderr
  }

  /** The guest's bytes as the reference reads them. */
  raw(name: string, ...more: string[]): Uint8Array {
    this.img('convert', '-f', 'qcow2', '-O', 'raw', ...more, name, `${name}.raw`)
    return new Uint8Array(readFileSync(this.path(`${name}.raw`)))
  }

  /** Throws unless the reference finds neither corruptions nor leaks. */
  check(name: string): void {
    this.img('check', '-q', '-f', 'qcow2', name)
  }

  load(name: string): MemoryChild {
    return new MemoryChild({ name, content: new Uint8Array(readFileSync(this.path(name))) })
  }

  save(name: string, child: MemoryChild): void {
    writeFileSync(this.path(name), child.content)
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
  }

  #run(tool: string, args: string[]): string {
    try {
      return execFileSync(tool, args, { cwd: this.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string }
      throw new Error(`${tool} ${args.join(' ')}\n${stdout ?? ''}${stderr ?? ''}`, { cause: error })
    }
  }
}
