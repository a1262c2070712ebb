package relay

// AccountOfKind chooses the account for a client.
func (s *Service) AccountOfKind(c *Client, name string, kinds ...AccountKind) (*Account, error) {
	return s.accountOfKind(c, name, kinds...)
}
