// Command call asks Rightcall whether a call may be made, and for the PIN where one is needed.
//
//	go run . -server localhost:50051 -caller alice -extension 0033123456789 -outcall 2
//
// It ends with 0 where the call may go ahead, 1 where it may not, 2 where there is no decision.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // healthCheckConfig does nothing without it
	"google.golang.org/grpc/status"

	rightcall "example.org/call/rightcall/v1"
)

// Who waits for a dial tone waits no longer than this.
const patience = 300 * time.Millisecond

//go:embed service-config.json
var serviceConfig string

func main() {
	server := flag.String("server", "localhost:50051", "`HOST:PORT` of Rightcall")
	ca := flag.String("ca", "", "PEM `FILE` of the authority to trust; without it there is no TLS")
	caller := flag.String("caller", "", "UUID or alias of the user who calls")
	extension := flag.String("extension", "", "what was dialled")
	outcall := flag.String("outcall", "", "id of the outgoing call")
	emergency := flag.String("emergency", "112,911", "`NUMBERS` that are called without a decision")
	flag.Parse()

	connection, err := connect(*server, *ca, os.Getenv("RIGHTCALL_TOKEN"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	client := rightcall.NewDecisionServiceClient(connection)
	call := &rightcall.CheckCallRequest{Caller: *caller, Extension: *extension, Outcall: *outcall}
	allowed, err := mayCall(client, call, os.Stdin)
	connection.Close()
	switch {
	case err != nil && slices.Contains(strings.Split(*emergency, ","), *extension):
		fmt.Println("ALLOW: a call for help, and there is no decision:", err)
	case err != nil:
		fmt.Println("no decision:", err)
		os.Exit(2)
	case !allowed:
		os.Exit(1)
	}
}

// connect makes a connection that is kept, shared by all goroutines, spread over all addresses of the server's name.
func connect(server, ca, secret string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(), // else the DNS is asked for one, and a slow DNS delays the first call
	}
	if ca == "" {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	} else {
		trusted, err := credentials.NewClientTLSFromFile(ca, "")
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithTransportCredentials(trusted))
	}
	if secret != "" {
		options = append(options, grpc.WithPerRPCCredentials(token(secret)))
	}
	connection, err := grpc.NewClient("dns:///"+server, options...)
	if err == nil {
		warm(connection)
	}
	return connection, err
}

// warm connects at the start, so that the first call does not wait for it. A server that is away is looked for later.
func warm(connection *grpc.ClientConn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	connection.Connect()
	for state := connection.GetState(); state == connectivity.Idle || state == connectivity.Connecting; {
		if !connection.WaitForStateChange(ctx, state) {
			return
		}
		state = connection.GetState()
	}
}

// token is sent with each request, and over TLS alone.
type token string

func (t token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}

func (token) RequireTransportSecurity() bool { return true }

// mayCall decides a call; PINs are read from digits, a line each.
func mayCall(client rightcall.DecisionServiceClient, call *rightcall.CheckCallRequest, digits io.Reader) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := client.CheckCall(ctx, call)
	if err != nil {
		return false, explained(err)
	}
	fmt.Println(name(answer.Decision), answer.Reason, answer.GetPermission().GetName())
	switch answer.Decision {
	case rightcall.Decision_DECISION_ALLOW:
		return true, nil
	case rightcall.Decision_DECISION_CHALLENGE:
		return answered(client, answer.Challenge, bufio.NewScanner(digits))
	default: // a decision that this program does not know is a DENY
		return false, nil
	}
}

// answered asks for the PIN until one is right, or no more may be tried.
func answered(client rightcall.DecisionServiceClient, challenge string, digits *bufio.Scanner) (bool, error) {
	if challenge == "" {
		return false, errors.New("the server cannot check PINs: it has no secret key")
	}
	for {
		fmt.Print("PIN: ")
		if !digits.Scan() {
			return false, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		answer, err := client.AnswerChallenge(ctx, &rightcall.AnswerChallengeRequest{
			Challenge: challenge, Password: digits.Text(),
		})
		cancel()
		if status.Code(err) == codes.InvalidArgument { // what was dialled is no PIN: that was no attempt
			continue
		}
		if err != nil { // it may have been an attempt: not sent again
			return false, explained(err)
		}
		fmt.Println(name(answer.Decision))
		if answer.Decision == rightcall.Decision_DECISION_ALLOW {
			return true, nil
		}
		if answer.AttemptsLeft == 0 {
			fmt.Println("locked out for", answer.RetryAfterSeconds, "seconds")
			return false, nil
		}
	}
}

func name(decision rightcall.Decision) string {
	return strings.TrimPrefix(decision.String(), "DECISION_")
}

// explained says whether asking again may help.
func explained(err error) error {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.FailedPrecondition, codes.ResourceExhausted:
		return fmt.Errorf("not now: %w", err)
	default: // InvalidArgument, NotFound, PermissionDenied …: the same request gets the same error
		return fmt.Errorf("mend the request: %w", err)
	}
}
