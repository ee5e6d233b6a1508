/*
 * Dates are computed here, in the proleptic Gregorian calendar, instead of by
 * the C library: its functions take the time zone's lock, and a log line
 * needs one each.
 *
 * Reading accepts what RFC 3339 allows and nothing else: a day that does not
 * exist is refused.  A leap second counts as the first of the next minute.
 */

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/err.h"

#define US_PER_S INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)
/* The first and last second that four digits of year can say. */
#define FIRST_S INT64_C(-62167219200)
#define LAST_S INT64_C(253402300799)

struct date {
	int year;
	int month; /* 1 to 12 */
	int day;   /* 1 to 31 */
};

int64_t
synq_clock_wall_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

uint64_t
synq_clock_mono_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

static int
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int
days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 0000-01-01 to the first day of ${year}, which is 0 to 9999. */
static int
days_before_year(int year)
{
	int past = year - 1;

	if (year == 0)
		return 0;
	return year * 365 + past / 4 - past / 100 + past / 400 + 1;
}

/* Days from 1970-01-01 to ${date}. */
static int64_t
day_number(struct date date)
{
	int days = days_before_year(date.year) + date.day - 1;

	for (int month = 1; month < date.month; month++)
		days += days_in_month(date.year, month);
	return (int64_t)days - days_before_year(1970);
}

static struct date
date_of(int64_t day)
{
	int days = (int)day + days_before_year(1970);
	struct date date = { .year = days / 366, .month = 1 };

	while (date.year < 9999 && days_before_year(date.year + 1) <= days)
		date.year++;
	days -= days_before_year(date.year);
	while (days >= days_in_month(date.year, date.month))
		days -= days_in_month(date.year, date.month++);
	date.day = days + 1;
	return date;
}

/* Write ${number} with ${digits} digits to *${at} and move it on. */
static void
put_digits(char **at, int number, int digits)
{
	for (int i = digits - 1; i >= 0; i--) {
		(*at)[i] = (char)('0' + number % 10);
		number /= 10;
	}
	*at += digits;
}

void
synq_clock_format(int64_t wall_us, char ret[28])
{
	int64_t second = wall_us / US_PER_S;
	int64_t fraction = wall_us % US_PER_S;
	char *at = ret;

	if (fraction < 0) {
		fraction += US_PER_S;
		second--;
	}
	if (second < FIRST_S || second > LAST_S) {
		second = second < 0 ? FIRST_S : LAST_S;
		fraction = 0;
	}

	int64_t day = (second - FIRST_S) / S_PER_DAY + FIRST_S / S_PER_DAY;
	int of_day = (int)(second - day * S_PER_DAY);
	struct date date = date_of(day);
	put_digits(&at, date.year, 4);
	*at++ = '-';
	put_digits(&at, date.month, 2);
	*at++ = '-';
	put_digits(&at, date.day, 2);
	*at++ = 'T';
	put_digits(&at, of_day / 3600, 2);
	*at++ = ':';
	put_digits(&at, of_day / 60 % 60, 2);
	*at++ = ':';
	put_digits(&at, of_day % 60, 2);
	*at++ = '.';
	put_digits(&at, (int)fraction, 6);
	*at++ = 'Z';
	*at = '\0';
}

/* Take exactly ${digits} digits off ${text}; -1 if they are not there. */
static int
take_digits(struct synq_slice *text, size_t digits)
{
	int number = 0;

	if (text->bytes < digits)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		if (text->data[i] < '0' || text->data[i] > '9')
			return -1;
		number = number * 10 + (text->data[i] - '0');
	}
	text->data += digits;
	text->bytes -= digits;
	return number;
}

/* Take one of ${allowed} off ${text}; 0 if it is not there. */
static char
take_one_of(struct synq_slice *text, const char *allowed)
{
	if (text->bytes == 0)
		return '\0';

	char c = text->data[0];
	while (*allowed && *allowed != c)
		allowed++;
	if (*allowed) {
		text->data++;
		text->bytes--;
	}
	return *allowed;
}

/* Take "YYYY-MM-DD" off ${text}, as days since 1970 into ${ret}. */
static int
take_date(struct synq_slice *text, int64_t *ret)
{
	struct date date;

	date.year = take_digits(text, 4);
	if (date.year < 0 || !take_one_of(text, "-"))
		return -SYNQ_E_INVALID;
	date.month = take_digits(text, 2);
	if (date.month < 1 || date.month > 12 || !take_one_of(text, "-"))
		return -SYNQ_E_INVALID;
	date.day = take_digits(text, 2);
	if (date.day < 1 || date.day > days_in_month(date.year, date.month))
		return -SYNQ_E_INVALID;
	*ret = day_number(date);
	return 0;
}

/* Take "HH:MM:SS" off ${text}, as seconds of the day into ${ret}. */
static int
take_time(struct synq_slice *text, int64_t *ret)
{
	int hour = take_digits(text, 2);
	if (hour < 0 || hour > 23 || !take_one_of(text, ":"))
		return -SYNQ_E_INVALID;
	int minute = take_digits(text, 2);
	if (minute < 0 || minute > 59 || !take_one_of(text, ":"))
		return -SYNQ_E_INVALID;
	int second = take_digits(text, 2);
	if (second < 0 || second > 60)
		return -SYNQ_E_INVALID;
	*ret = hour * INT64_C(3600) + minute * INT64_C(60) + second;
	return 0;
}

/* Take ".123456789", if it is there, off ${text}: microseconds, cut. */
static int
take_fraction(struct synq_slice *text, int64_t *ret)
{
	int64_t fraction = 0;
	int digits = 0;

	*ret = 0;
	if (!take_one_of(text, "."))
		return 0;
	for (; digits < 10; digits++) {
		int digit = take_digits(text, 1);

		if (digit < 0)
			break;
		if (digits < 6)
			fraction = fraction * 10 + digit;
	}
	if (digits < 1 || digits > 9)
		return -SYNQ_E_INVALID;
	for (; digits < 6; digits++)
		fraction *= 10;
	*ret = fraction;
	return 0;
}

/* Take "Z" or "+HH:MM" off ${text}, as seconds east of UTC into ${ret}. */
static int
take_offset(struct synq_slice *text, int64_t *ret)
{
	char sign = take_one_of(text, "+-Zz");

	*ret = 0;
	if (sign == 'Z' || sign == 'z')
		return 0;
	int hours = take_digits(text, 2);
	if (!sign || hours < 0 || hours > 23 || !take_one_of(text, ":"))
		return -SYNQ_E_INVALID;
	int minutes = take_digits(text, 2);
	if (minutes < 0 || minutes > 59)
		return -SYNQ_E_INVALID;
	*ret = hours * INT64_C(3600) + minutes * INT64_C(60);
	if (sign == '-')
		*ret = -*ret;
	return 0;
}

int
synq_clock_parse(struct synq_slice text, int64_t *ret)
{
	int64_t day;
	int64_t of_day;
	int64_t fraction;
	int64_t offset;
	uint64_t seconds;

	if (synq_slice_u64(text, (uint64_t)LAST_S, &seconds) == 0) {
		*ret = (int64_t)seconds * US_PER_S;
		return 0;
	}
	if (take_date(&text, &day) || !take_one_of(&text, "Tt ") ||
	    take_time(&text, &of_day) || take_fraction(&text, &fraction) ||
	    take_offset(&text, &offset) || text.bytes > 0)
		return -SYNQ_E_INVALID;
	*ret = (day * S_PER_DAY + of_day - offset) * US_PER_S + fraction;
	return 0;
}
