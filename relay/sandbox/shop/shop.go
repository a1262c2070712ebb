package shop

import "net/http"

type Options struct{}
type Shop struct{}

func New(Options) (*Shop, error)                           { return &Shop{}, nil }
func (*Shop) ServeHTTP(http.ResponseWriter, *http.Request) {}
