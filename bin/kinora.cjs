#!/usr/bin/env node
// CommonJS on purpose: libuv reads the size of its thread pool when the first task is queued, and an
// ES module entry has queued file reads before its first line runs. The pool serves file writes and
// syncs of every stream.
process.env.UV_THREADPOOL_SIZE ??= '16'
void import('../dist/main.js')
