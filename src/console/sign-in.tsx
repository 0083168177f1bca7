import { useState, type FormEvent } from 'react'
import { ApiError, signIn } from './api.ts'

/** Asks for the admin token; the service answers with a session cookie. */
export function SignIn({ onSignedIn }: { readonly onSignedIn: () => void }) {
  const [token, setToken] = useState('')
  const [error, setError] = useState<string | null>(null)
  const [busy, setBusy] = useState(false)

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      await signIn(token)
      onSignedIn()
    } catch (problem) {
      setError(problem instanceof ApiError ? problem.message : String(problem))
    } finally {
      setBusy(false)
    }
  }

  return (
    <main className="sign-in">
      <form className="card" onSubmit={(event) => void submit(event)}>
        <h1>
          <img src="/favicon.svg" alt="" width="28" height="28" /> Kinora
        </h1>
        <label htmlFor="token">Admin token</label>
        <input
          id="token"
          type="password"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          autoComplete="current-password"
          autoFocus
          required
        />
        <p className="muted">
          It is <code>auth.adminToken</code> in the service&rsquo;s configuration.
        </p>
        {error !== null && (
          <p className="problem" role="alert">
            {error}
          </p>
        )}
        <button type="submit" className="primary" disabled={busy}>
          Sign in
        </button>
      </form>
    </main>
  )
}
