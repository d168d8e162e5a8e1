// Package vault holds the site key and seals what the agent keeps about people on disk: the
// journal's records, and the checkpoint (which holds the dictionary of users) and closed windows
// of package history.
//
// # Keys
//
// The site key is 32 random bytes, made at the first start. With the salt in vault.json it gives,
// by HKDF-SHA256 (RFC 5869), one key per use ("journal", "measure"); whoever has a key of one use
// has none of another's. Each file and each run of records draws 16 random bytes and
// derives a key of its own from them, so that a nonce is a plain counter and can never meet
// another message under the same key, whatever is restored, cloned or cut off after a crash.
//
// The cipher is AES-256-GCM (NIST SP 800-38D) of the standard library: no dependency to trust, constant
// time and about a gigabyte a second on machines with AES instructions, which are all that servers are made of;
// XChaCha20 would bring a longer nonce, which the derived keys make unnecessary, and a module.
//
// # Invariants
//
//   - What was sealed for one place opens nowhere else: a record is bound to its use and its number in
//     the log, a file to its use and its name. A swapped, moved or altered one is an error (ErrSealed).
//   - The overhead is constant: 37 bytes a record, 40 a file. Lengths are not hidden.
//   - No error, log line or value of this package's exported types holds a key or content.
//   - A key or salt that is missing or wrong is an error with a name of its own (ErrMissing, ErrWrong): nothing
//     is made anew where something may already be sealed.
//   - Only the agent's root package has a Vault. No other stage imports this one, the console least
//     of all: they get the narrow interfaces they declare, or nothing.
//
// # States on disk
//
//	site.key     the key in base64, 0600; or any other file, by the setting site_key_file
//	vault.json   the salt, whether everything is sealed already, and an HMAC over both by which
//	             a wrong key is known; without it the key opens nothing
//
// Written in that order, each as one step (durable.WriteFile), before anything is sealed.
//
// What it protects against: whoever reads the disk without the key, that is a stolen or discarded
// disk or backup when the key lies elsewhere, and a removed key (Destroy) for good. What not: root on the machine, or
// the agent's own user, while the key can be read; and putting back a whole older state.
package vault
