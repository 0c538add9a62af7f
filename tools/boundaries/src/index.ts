/**
 * Checks that the workspace keeps its shape: arrows, names, references, files.
 *
 * @packageDocumentation
 */
export { checkWorkspace } from './check-workspace.ts'
export type { Finding } from './finding.ts'
export { readWorkspace } from './workspace.ts'
export type { Workspace } from './workspace.ts'
