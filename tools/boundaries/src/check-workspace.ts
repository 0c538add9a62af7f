import { checkFormatNames } from './checks/format-names.ts'
import { checkImports } from './checks/imports.ts'
import { checkInstallFiles } from './checks/install-files.ts'
import { checkManifests } from './checks/manifests.ts'
import { checkPublishedFiles } from './checks/published-files.ts'
import { checkReferences } from './checks/references.ts'
import { checkSourceText } from './checks/source-text.ts'
import type { Finding } from './finding.ts'
import type { Workspace } from './workspace.ts'

const CHECKS = [checkManifests, checkImports, checkReferences, checkFormatNames, checkSourceText, checkPublishedFiles, checkInstallFiles]

/** Runs every check; no findings means that the workspace keeps its shape. @internal */
export function checkWorkspace(workspace: Workspace): readonly Finding[] {
  return CHECKS.flatMap((check) => check(workspace))
}
