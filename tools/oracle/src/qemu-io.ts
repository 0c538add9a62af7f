import { run } from './run.ts'

/**
 * Runs `qemu-io` commands (`write -P 7 0 64k`) on an image in one process; throws if any of them fails.
 * Commands go through standard input, so there may be thousands.
 */
export function qemuIo(image: string, commands: readonly string[], options: { readonly format?: string; readonly args?: readonly string[] } = {}): string {
  const open = options.format === undefined ? [] : ['-f', options.format]
  const { status, stdout, stderr } = run('qemu-io', [...open, ...(options.args ?? []), image], `${commands.join('\n')}\nquit\n`)
  // qemu-io reports failed commands in words and goes on; a pattern mismatch too.
  const failed = /(failed:|verification failed|command .* not found|Parsing error|error:)[^\n]*/i.exec(stdout + stderr)
  if (status !== 0 || failed) throw new Error(`qemu-io ${image}: ${failed?.[0] ?? `ended with ${status}`}\n${stdout}${stderr}`)
  return stdout
}

/** Checks with `qemu-io` that ranges hold a byte; throws on a mismatch. */
export function qemuIoRead(image: string, ranges: readonly { readonly offset: number; readonly bytes: number; readonly pattern: number }[], options: { readonly format?: string } = {}): void {
  qemuIo(image, ranges.map(({ offset, bytes, pattern }) => `read -P ${pattern} ${offset} ${bytes}`), options)
}
