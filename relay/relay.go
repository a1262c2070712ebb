// Package relay lends one WeChat account and one merchant number to many
// sites. It decides: which request is genuine, what an order may become, what
// a notification of WeChat settles, and when a site is told.
//
// Begin with [Runtime], which lives as long as the store is open, and
// [Service], which is one configuration at work on it. Requests come in
// through a Service; what they decide is kept by a [Store]; what sites must
// be told is delivered by the [Dispatcher]. Data flows one way, from caller
// to relay to store.
//
// The promise: when [Service.Notify] returns nil, the order's new state, the
// evidence of WeChat's statement and the whole schedule for telling the site
// are on stable storage, in one transaction.
package relay
