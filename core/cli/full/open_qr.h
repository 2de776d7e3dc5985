/* perry open --qr: the link for a phone's camera. */
#ifndef PERRY_CLI_OPEN_QR_H
#define PERRY_CLI_OPEN_QR_H
#include "cli/command.h"

command_fn open_qr;

#endif
