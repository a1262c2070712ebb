package relay

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// ParseMasterKey reads a master key from the standard base64 of its bytes, as
// `openssl rand -base64 32` prints it. The error never holds the text.
func ParseMasterKey(text Secret) (Secret, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text.value)
	if err != nil || len(raw) != MasterKeyLen {
		return Secret{}, fmt.Errorf("must be the standard base64 of %d random bytes, 44 characters; make one with: openssl rand -base64 %d", MasterKeyLen, MasterKeyLen)
	}
	return NewSecret(string(raw)), nil
}

// checkMasterKey refuses what is no key.
func checkMasterKey(key Secret) error {
	if key.Len() != MasterKeyLen {
		return fmt.Errorf("must be %d bytes, but has %d", MasterKeyLen, key.Len())
	}
	return nil
}

func (v *validation) masterKeys() {
	seen := make(map[Secret]bool)
	for _, key := range v.config.MasterKeys {
		v.add("", "master_key", checkMasterKey(key))
		if seen[key] {
			v.add("", "master_key", errors.New("is given twice; each key stands there once, the one that seals first"))
		}
		seen[key] = true
	}
}

// newServiceSealer makes the Sealer of a configuration: of its own master
// keys, or else the Runtime's.
//
// Values that were sealed with a key that is not there any more are as good as
// gone: tokens are then fetched anew and mini-program sessions are not found,
// so that a changed master key costs some calls and no outage.
func newServiceSealer(cfg *Config, rt *Runtime) (*Sealer, error) {
	if len(cfg.MasterKeys) == 0 {
		return rt.sealer, nil
	}
	return NewSealer(cfg.MasterKeys, rt.random.source)
}
