package relay

import "fmt"

// refuse makes a refusal that the caller may read.
func refuse(kind Kind, field, message string) *Error {
	return &Error{Kind: kind, Field: field, Message: message}
}

// refusef makes a refusal with a formatted message.
func refusef(kind Kind, field, format string, args ...any) *Error {
	return refuse(kind, field, fmt.Sprintf(format, args...))
}

// notFound is the one answer for things that do not exist and for things of
// other clients (threats C06).
func notFound(what string) *Error {
	return refuse(KindNotFound, "", "no such "+what)
}
