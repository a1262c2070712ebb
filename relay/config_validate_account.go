package relay

import (
	"errors"
	"fmt"
)

func (v *validation) accounts() {
	names, appIDs := map[string]string{}, map[string]string{}
	files := map[string]fileOwner{}
	for _, a := range v.config.Accounts {
		block := "account " + a.Name
		v.add(block, "", CheckName(a.Name))
		v.once(names, a.Name, block, "")
		_, err := ParseAccountKind(string(a.Kind))
		v.add(block, "kind", err)
		v.add(block, "app_id", CheckAppID(a.AppID))
		v.once(appIDs, a.AppID, block, "app_id")
		if needsSecret(a.Kind) || a.Secret.Len() > 0 {
			v.add(block, "secret", CheckAccountSecret(a.Secret))
		}
		v.messages(a, block)
		v.verifyFiles(a, block, files)
	}
}

// needsSecret reports whether an account of the kind is of no use without its
// secret. Paying inside an app or a mini-program needs none: it is for logins,
// and the owner's own front end may know who the buyer is.
func needsSecret(kind AccountKind) bool {
	return kind == AccountOfficial || kind == AccountWebsiteApp
}

// messages checks what verifies and opens the messages that WeChat pushes.
func (v *validation) messages(a *Account, block string) {
	if a.MessageToken.Len() > 0 {
		v.add(block, "message_token", CheckMessageToken(a.MessageToken))
		if a.Kind != AccountOfficial && a.Kind != AccountMiniProgram {
			v.add(block, "message_token", fmt.Errorf("is for kinds official_account and mini_program: WeChat pushes no messages to a %s", a.Kind))
		}
	}
	if a.MessageKey.Len() > 0 {
		v.add(block, "message_key", CheckMessageKey(a.MessageKey))
		if a.MessageToken.Len() == 0 {
			v.add(block, "message_key", errors.New("needs message_token beside it, which verifies what the key opens"))
		}
	}
}

// fileOwner is the account that gave a verify file, and its text.
type fileOwner struct{ block, text string }

// verifyFiles checks that each name stands for one text: all sites serve the
// files of all accounts.
func (v *validation) verifyFiles(a *Account, block string, seen map[string]fileOwner) {
	for _, f := range a.VerifyFiles {
		v.add(block, "verify_file", CheckVerifyFile(f))
		first, twice := seen[f.Name]
		switch {
		case twice && first.text != f.Text:
			v.add(block, "verify_file", fmt.Errorf("%q already has another text in %s; a name stands for one text in all accounts", f.Name, first.block))
		case twice && first.block == block:
			v.add(block, "verify_file", fmt.Errorf("%q is given twice", f.Name))
		case !twice:
			seen[f.Name] = fileOwner{block, f.Text}
		}
	}
}
