/* Digits of numbers in text. */
#ifndef LLMZ_DIGITS_H
#define LLMZ_DIGITS_H

enum { LLMZ_NO_DIGIT = 99 };

/* The value of a digit, hexadecimal ones in either case; LLMZ_NO_DIGIT for another character. */
static inline int llmz_digit_value(unsigned character)
{
    return character >= '0' && character <= '9'   ? (int)character - '0'
           : character >= 'a' && character <= 'f' ? (int)character - 'a' + 10
           : character >= 'A' && character <= 'F' ? (int)character - 'A' + 10
                                                  : LLMZ_NO_DIGIT;
}

#endif
