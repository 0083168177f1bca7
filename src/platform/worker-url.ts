/**
 * The URL of a worker thread's entry next to the importing module. Worker threads run compiled
 * JavaScript only, so a module still running from `src/` (under the test runner) is pointed to its
 * twin in `dist/`, which `npm test` builds first.
 *
 * @param importMetaUrl the caller's `import.meta.url`
 * @param name the entry's file name without extension, in the caller's folder
 */
export function workerUrl(importMetaUrl: string, name: string): URL {
  const here = new URL(`./${name}.js`, importMetaUrl)
  return importMetaUrl.endsWith('.ts') ? new URL(here.href.replace('/src/', '/dist/')) : here
}
