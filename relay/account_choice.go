package relay

import "slices"

// accountOfKind is the account in which a client's user logs in, or whose
// API it calls. A client may use its own account, those that are bound to its
// merchant, and the only one of its kind in the configuration; name picks
// among them, and without one the first of the best kind is taken, in that
// order. Whether another account exists is not told (threats C06).
func (s *Service) accountOfKind(c *Client, name string, kinds ...AccountKind) (*Account, error) {
	if name != "" {
		a := s.accounts[name]
		if a == nil || !slices.Contains(kinds, a.Kind) || !s.mayUse(c, a) {
			return nil, refusef(KindParam, "account", "names no account of kind %s that this client may use", kinds[0])
		}
		return a, nil
	}
	several := false
	for _, kind := range kinds {
		a, rivals := s.firstOfKind(c, kind)
		if a != nil {
			return a, nil
		}
		several = several || rivals
	}
	if several {
		return nil, refusef(KindParam, "account", "several accounts of kind %s are configured; ask the operator to give this client one", kinds[0])
	}
	return nil, refusef(KindNoAuth, "account", "no account of kind %s is configured for this client", kinds[0])
}

// firstOfKind chooses without a name; rivals says that there are several and
// none is the client's.
func (s *Service) firstOfKind(c *Client, kind AccountKind) (a *Account, rivals bool) {
	if a := s.accounts[c.Account]; a != nil && a.Kind == kind {
		return a, false
	}
	if m := s.merchants[c.Merchant]; m != nil {
		for _, name := range m.Accounts {
			if a := s.accounts[name]; a != nil && a.Kind == kind {
				return a, false
			}
		}
	}
	var only *Account
	for _, a := range s.cfg.Accounts {
		if a.Kind != kind {
			continue
		}
		if only != nil {
			return nil, true
		}
		only = a
	}
	return only, false
}

func (s *Service) mayUse(c *Client, a *Account) bool {
	if c.Account == a.Name {
		return true
	}
	if m := s.merchants[c.Merchant]; m != nil && slices.Contains(m.Accounts, a.Name) {
		return true
	}
	return !slices.ContainsFunc(s.cfg.Accounts, func(o *Account) bool { return o.Kind == a.Kind && o != a })
}
