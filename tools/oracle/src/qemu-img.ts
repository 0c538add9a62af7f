import { run, runChecked, type ToolResult } from './run.ts'

/** Runs `qemu-img`; throws unless it succeeds. Returns what it printed. */
export function qemuImg(...args: readonly string[]): string {
  return runChecked('qemu-img', args)
}

/** Runs `qemu-img` and reports how it went, for comparing output, errors and exit codes. */
export function qemuImgResult(...args: readonly string[]): ToolResult {
  return run('qemu-img', args)
}
