import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Builds the console to dist/console; the service serves it at `/`. */
export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  // Our playlists have one variant and no text or DRM tracks: the small build plays them.
  resolve: { alias: { 'hls.js': 'hls.js/light' } },
  build: {
    outDir: fileURLToPath(new URL('../../dist/console', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the content security policy allows no inline scripts
    chunkSizeWarningLimit: 800,
  },
})
