export type * from './detector.ts'
export { openDetector, type DetectorParts } from './open-detector.ts'
export {
  addModel,
  readCatalogue,
  resolveModel,
  type AddModelOptions,
  type InstalledModel,
  type ModelCatalogue,
  type ResolveModelOptions,
} from './model-catalogue.ts'
export type { ModelManifest } from './manifest.ts'
